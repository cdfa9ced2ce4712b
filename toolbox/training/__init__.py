"""Training: recipes, data, the loop, checkpoints and model cards."""
