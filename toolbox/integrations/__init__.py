"""Networks of Toolbox in other programs."""
