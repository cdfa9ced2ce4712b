"""Decoders: features go in, an image of the size asked for comes out."""
