"""`evolve start`: opens a run, shows it while it goes on, and says how it ended."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from evolve.cli.printing import console, numbers, print_table, safe
from evolve.config import DEFAULT_SPACE, StartConfig, cache_folder, seconds
from evolve.errors import UsageError
from evolve.run_folder import RunFolder, create, find

if TYPE_CHECKING:
    from evolve.archive import Archive
    from evolve.wiring import Run

INTERRUPTED = 130
AT_ONCE_GRACE_S = 5.0
"""How long an interrupted process may take to close its sandbox before it leaves without."""


def start(
    space: Annotated[str, typer.Option(help="What is to be improved; see `evolve spaces`.")] = DEFAULT_SPACE,
    budget: Annotated[int, typer.Option(help="Proposals that reach a sandbox; refusals by a gate are free.")] = 50,
    budget_time: Annotated[str, typer.Option(help="Also stop proposing after this long, e.g. 10m.")] = "",
    seed: Annotated[int, typer.Option(help="Same seed, same machine: the same lineage.")] = 0,
    workers: Annotated[int, typer.Option(help="Sandbox sessions at once; 0 takes one for each core.")] = 0,
    sandbox: Annotated[str, typer.Option(help="auto, docker or local.")] = "auto",
    out: Annotated[Path, typer.Option(help="Where run folders are.")] = Path("runs"),
    resume: Annotated[str, typer.Option(help="Continue the run of this name (`latest`: the newest).")] = "",
    data: Annotated[str, typer.Option(help="A data set of `evolve data list`, for a space that takes one.")] = "",
    world: Annotated[str, typer.Option(help="Family of the generated world (video_ranking).")] = "aligned",
    quiet: Annotated[bool, typer.Option(help="One line for each event in place of the live table.")] = False,
) -> None:
    """Starts a run, or continues one with --resume, and shows it while it goes on."""
    config = StartConfig(
        space=space,
        budget=budget,
        budget_s=seconds(budget_time) if budget_time else None,
        seed=seed,
        workers=workers,
        sandbox=sandbox,
        runs=out,
        dataset=data,
        world=world,
    ).checked()
    code = _drive(config, _folder(config, resume), quiet=quiet)
    if code:
        raise typer.Exit(code)


def _folder(config: StartConfig, resume: str) -> RunFolder:
    if resume:
        return find(config.runs, None if resume == "latest" else resume)
    from evolve.wiring import load_task
    from search_spaces.space import load

    load(config.space)  # A wrong name or missing data must not leave an empty run folder behind.
    load_task(config.space, config.dataset, config.world, cache_folder())
    return create(config.runs, f"{config.space}-{config.seed}")


def _drive(config: StartConfig, folder: RunFolder, *, quiet: bool) -> int:
    from evolve.cli.live import Live
    from evolve.wiring import open_run

    screen = console()
    live = Live(screen, plain=quiet or not screen.is_terminal)
    opening = open_run(config, folder, cache_folder(), observer=live.on_record, report=live.on_report)
    with opening as run:
        _first_lines(run, folder)
        live.follow(run.loop.archive, run.loop.settings)
        with _interruptible(run, live), live:
            reason = run.loop.run()
        stopped = not run.loop.archive.ended
        archive = run.loop.archive
        page = _write_report(archive, folder)
    summary(archive, reason)
    screen.print(f"report: {page}\nnext:   evolve log --out {config.runs} | evolve show N | evolve diff N")
    return INTERRUPTED if stopped else 0


def _first_lines(run: Run, folder: RunFolder) -> None:
    box, settings = run.sandbox, run.loop.settings
    lacks = f"; it does not stop: {box.does_not_stop}" if box.does_not_stop else ""
    console().print(
        f"sandbox [bold]{box.name}[/]{safe(lacks)}\n"
        f"proposer catalog: no model is configured, so techniques come from the built-in catalogue\n"
        f"space [bold]{run.space.name}[/]: {safe(run.space.summary)}\n"
        f"budget {settings.budget} proposals, seed {settings.seed}, {settings.workers} workers, run {folder.path}"
    )


@contextmanager
def _interruptible(run: Run, live: object) -> Generator[None]:
    """Ctrl-C once: what is in flight is finished; twice: at once. Both can be resumed."""

    def leave(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        threading.Timer(AT_ONCE_GRACE_S, os._exit, (INTERRUPTED,)).start()
        run.sandbox.close()
        os._exit(INTERRUPTED)

    def finish(_number: int, _frame: FrameType | None) -> None:
        run.loop.stop()
        signal.signal(signal.SIGINT, leave)
        console().print("[yellow]stopping when what is in flight is judged; Ctrl-C again stops at once[/]")

    before = signal.signal(signal.SIGINT, finish)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _write_report(archive: Archive, folder: RunFolder) -> Path:
    from evolve.lineage import Lineage
    from evolve.report import write

    return write(archive, Lineage(folder.lineage), folder.report)


def summary(archive: Archive, reason: str) -> None:
    """How a run ended: the champion, what was confirmed, and the one look at the test labels."""
    screen = console()
    champion = archive.champion
    if champion is None:
        raise UsageError("the run has no seed yet", hint="Continue it with --resume.")
    promoted = [c for c in archive.confirmations if c.promoted]
    screen.print(f"\n[bold]ended[/]: {safe(reason)}")
    looks = len(archive.confirmations)
    screen.print(
        f"champion [bold]#{champion.number}[/] after {len(promoted)} promotions out of {looks} looks at unseen users"
    )
    if promoted:
        last = promoted[-1].verdict
        screen.print(
            f"last confirmed step: {last.effect:+.4f} [{last.low:+.4f}, {last.high:+.4f}] in {last.metric} "
            f"on {last.users} unseen users, level {last.alpha:.4f}".replace("[", "\\[")
        )
    if archive.final:
        names = tuple(next(iter(archive.final.rows.values())))
        rows = [[safe(name), *numbers(row, names)] for name, row in archive.final.rows.items()]
        print_table("test labels, looked at once", ("program", *names), rows)
        found = archive.final.verdict
        screen.print(
            f"champion against seed: {found.effect:+.4f} \\[{found.low:+.4f}, {found.high:+.4f}] in {found.metric}"
        )
