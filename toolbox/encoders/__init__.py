"""Encoders: an image goes in, features of the same height and width come out."""
