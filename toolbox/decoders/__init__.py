"""Decoders: features go in, an image of the requested size comes out."""
