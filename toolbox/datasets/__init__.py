"""Datasets: where training pictures come from, one by one."""
