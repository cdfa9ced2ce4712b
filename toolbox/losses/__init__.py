"""Losses: the distance of a restored batch from the clean one as a number to make smaller."""
