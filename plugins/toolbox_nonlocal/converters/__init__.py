"""Published checkpoints of networks with non-local attention."""
