"""Training: recipes, degradations, data, the loop and what it leaves."""
