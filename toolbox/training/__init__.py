"""Training: degradations, data and the loop."""
