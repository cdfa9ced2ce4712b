"""Fair timing: everything interleaved in one run, and reported as ratios."""
