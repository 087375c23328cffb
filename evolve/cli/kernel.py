"""`evolve kernel`: what a search over kernels leaves behind, made fit to ship."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from evolve.cli.look import Out
from evolve.cli.printing import console, safe
from evolve.cli.words import RUNS
from evolve.errors import RunError
from evolve.run_folder import RunFolder, all_runs, find

kernel = typer.Typer(help="Kernels: ships what a search found.", no_args_is_help=True)


@kernel.command("export")
def export_kernel(
    operator: Annotated[str, typer.Argument(help="The operator, as in `evolve start --space kernel:OPERATOR`.")],
    run: Annotated[str, typer.Option(help="The run that found it; the latest of the operator otherwise.")] = "",
    to: Annotated[Path | None, typer.Option(help="A new folder; `shipped/OPERATOR` otherwise.")] = None,
    out: Out = RUNS,
) -> None:
    """Writes the champion of a run as a package of its own: a dispatcher with its domain, the reference to fall back
    on, and a regression test."""
    from evolve.kernel_export import Origin, export
    from evolve.wiring import read_archive
    from search_spaces.kernel_spec import load_spec

    spec = load_spec(operator)
    folder = find(out, run) if run else _latest(out, operator)
    if _space(folder) != f"kernel:{operator}":
        raise RunError(f"the run {folder.name} searched `{_space(folder)}`, not `kernel:{operator}`")
    archive = read_archive(folder)
    champion = archive.champion or archive.seed
    target = to or Path("shipped") / operator
    origin = Origin(run=folder.name, number=champion.number, commit=champion.commit)
    files = export(spec, champion.tree, origin, target)
    console().print(
        f"{safe(str(target))}: candidate {champion.number} of {safe(folder.name)}, {len(files)} files\n"
        f"test: python -m pytest {safe(str(target))}",
        soft_wrap=True,
    )


def _latest(out: Path, operator: str) -> RunFolder:
    runs = [folder for folder in all_runs(out) if _space(folder) == f"kernel:{operator}"]
    if not runs:
        raise RunError(
            f"no run in {out} has searched `kernel:{operator}`",
            hint=f"Start one: evolve start --space kernel:{operator} --budget 50",
        )
    return max(runs, key=lambda folder: folder.journal.stat().st_mtime)


def _space(folder: RunFolder) -> str:
    from evolve.journal import read

    first = next(iter(read(folder.journal)), None)
    return str(first.body.get("space", "")) if first else ""
