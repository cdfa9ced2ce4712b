"""Published checkpoint formats of the core's own networks."""
