"""The engine: a plan that fits into the memory, tiles, and the network that goes over them."""
