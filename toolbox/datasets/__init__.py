"""Datasets: the sources of training pictures."""
