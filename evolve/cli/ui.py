"""`evolve ui`: the web page, on this machine alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from evolve.cli.look import Out
from evolve.cli.words import RUNS
from evolve.run_folder import find


def ui(
    run: Annotated[str, typer.Argument(help="The run to open; empty for the list of all.")] = "",
    port: Annotated[int, typer.Option(help="The port at 127.0.0.1; 0 takes one that is free.")] = 0,
    out: Out = RUNS,
) -> None:
    """Serves the web page: runs live, their lineage, candidates and pull requests. Ctrl-C ends it."""
    from evolve.web.server import serve
    from evolve.wiring import WallClock

    name = ""
    if run:
        folder = find(out, None if run == "latest" else run)
        out, name = Path(folder.path).parent, folder.name
    serve(out, name, port, WallClock(), _say)


def _say(address: str) -> None:
    print(f"{address}\nThe address lets in whoever has it; Ctrl-C ends the page.", flush=True)
