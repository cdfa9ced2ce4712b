"""Publish weights files on the Hugging Face Hub."""
