"""What docs/generate.py writes, by kind of page."""
