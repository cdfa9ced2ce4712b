"""Degradations: ways to make a good picture worse, so that a network can learn to undo them."""
