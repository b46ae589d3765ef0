"""`python -m cli`: the command `anima`."""

from cli.main import main

main()
