"""Recurrent wrappers: encoders that repeat one transition with shared weights."""
