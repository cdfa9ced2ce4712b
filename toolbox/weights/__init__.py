"""Weights files: self-describing safetensors."""
