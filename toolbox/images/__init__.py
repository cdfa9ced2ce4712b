"""Read, restore and write pictures."""
