"""Options of `evolve start` whose help takes more than a line. Knows no command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from evolve.config import StartConfig

DEFAULT_BUDGET = StartConfig().budget

Budget = Annotated[
    int | None,
    typer.Option(
        help="Proposals that reach a sandbox; refusals by a gate are free. A resumed run keeps its own.",
        show_default=f"{DEFAULT_BUDGET}",
    ),
]
Model = Annotated[
    str,
    typer.Option(help="PROVIDER/NAME (a=0.7,b=0.3), local/FILE.gguf, scripted/FILE, replay/RUN; empty: the catalogue."),
]
Thinking = Annotated[
    int | None,
    typer.Option(
        help="Proposals that models think of while candidates run; 0: one at a time.", show_default="2; local/: 1"
    ),
]
Repository = Annotated[
    Path | None, typer.Option(help="Your git repository: promotions open pull-request branches there too.")
]
NoOnline = Annotated[bool, typer.Option("--no-online", help="Only the search: its confirmations open pull requests.")]
