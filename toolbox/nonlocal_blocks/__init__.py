"""Non-local blocks: every pixel gathers from pixels that look like it."""
