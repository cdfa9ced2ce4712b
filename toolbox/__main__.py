"""``python -m toolbox`` is the command line."""

from toolbox.cli import main

main()
