"""Pictures: reading, restoring and writing them."""
