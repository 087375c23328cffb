"""The command line: turns words into calls, an `EvolveError` into one message and exit code 2.

Exit codes: 0 done, 1 done and something is missing or failed, 2 a clear error, 130 interrupted by hand.
"""

from __future__ import annotations

import os
import sys

import typer

from evolve.cli import about, look, start
from evolve.errors import EvolveError

app = typer.Typer(
    name="evolve",
    help="Improves a recommender's code by itself and keeps only what an honest comparison confirms.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("start")(start.start)
app.command("status")(look.status)
app.command("log")(look.log)
app.command("show")(look.show)
app.command("diff")(look.diff)
app.command("report")(look.report)
app.command("spaces")(about.spaces)
app.command("techniques")(about.techniques)
app.add_typer(about.data, name="data")
app.command("doctor")(about.doctor)


def main() -> None:
    """The entry point of the `evolve` command."""
    try:
        app()
    except EvolveError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(2)
    except BrokenPipeError:
        # The reader (`head`, a pager) has gone; Python's own flush at exit must not complain about it again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
