"""Non-local blocks: every pixel gathers from the pixels that look like it."""
