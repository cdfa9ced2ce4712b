"""Losses: how far a restored batch is from the clean one, as one number to make smaller."""
