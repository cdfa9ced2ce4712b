"""Degradations: what makes a bad picture of a good one, so that a network can learn the way back."""
