"""`python -m evolve.cli` is the `evolve` command."""

from evolve.cli import main

main()
