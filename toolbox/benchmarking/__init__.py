"""Honest timing: everything in one run, interleaved, as ratios."""
