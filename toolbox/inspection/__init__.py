"""Inspect the installed plugins for `toolbox doctor`."""
