"""`python -m exchange.cli`: the command line where no console script is installed."""

from exchange.cli import main

main()
