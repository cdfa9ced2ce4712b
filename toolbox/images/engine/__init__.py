"""The engine: a plan that fits into memory, tiles, and the network that runs over them."""
