"""`evolve export` and `evolve import`: a run as one file, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from evolve.cli.look import Json, Out, Run, RunName
from evolve.cli.printing import console, print_json, safe
from evolve.cli.words import RUNS, command
from evolve.run_folder import find


def export_run(
    bundle: Annotated[Path, typer.Option(help="The file to write.")],
    run: Run = "",
    run_name: RunName = "",
    out: Out = RUNS,
    json: Json = False,
) -> None:
    """Writes a run as one file: its lineage as a git bundle, its journal, versions and checksums."""
    from evolve.replay.bundle import export
    from evolve.wiring import versions

    manifest = export(find(out, run or run_name or None), bundle, versions())
    if json:
        print_json({"run": manifest.run, "records": manifest.records, "file": str(bundle)})
        return
    console().print(
        f"{safe(str(bundle))}: {manifest.records} records, {bundle.stat().st_size / 2**20:.1f} MiB\n"
        f"elsewhere: evolve import {safe(bundle.name)}",
        soft_wrap=True,
    )


def import_run(
    file: Annotated[Path, typer.Argument(help="A file of `evolve export`.")],
    name: Annotated[str, typer.Option("--as", help="What to call the run here; its own name otherwise.")] = "",
    out: Out = RUNS,
    json: Json = False,
) -> None:
    """Takes a run from a file, once every record and commit was checked. Its code is a stranger's: never `local`."""
    from evolve.replay.bundle import import_file

    folder = import_file(file, out, name)
    if json:
        print_json({"run": folder.name, "path": str(folder.path)})
        return
    more = [command(f"{words} {folder.name}", out) for words in ("replay", "replay --verify")]
    console().print(f"run:  {safe(str(folder.path))}\nnext: {safe(more[0])}\n      {safe(more[1])}", soft_wrap=True)
