"""What is installed and what is wrong with it, for `toolbox doctor`."""
