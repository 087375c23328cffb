"""`evolve sandbox`: images of one's own for the container engine."""

from __future__ import annotations

from typing import Annotated

import typer

from evolve.cli.printing import console, safe

sandbox = typer.Typer(help="Images of your own for the container engine.", no_args_is_help=True)


@sandbox.command("build")
def build(
    base: Annotated[str, typer.Option(help="An image with Python 3.11 or newer, e.g. python:3.11-slim.")],
    tag: Annotated[str, typer.Option(help="What the new image is called.")] = "evolve-candidate:latest",
) -> None:
    """Builds an image that `evolve start --image TAG` runs candidates in."""
    from sandbox.engine import Engine

    for line in Engine().build(base, tag):
        if line.strip():
            console().print(f"[dim]{safe(line.rstrip())}[/]", soft_wrap=True)
    console().print(f"built [bold]{safe(tag)}[/]: evolve start --image {safe(tag)}", soft_wrap=True)
