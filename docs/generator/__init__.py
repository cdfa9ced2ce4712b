"""The pages that docs/generate.py writes, by kind."""
