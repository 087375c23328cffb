"""What `evolve start` says: how a run begins, how it ended, and what can be asked next."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from evolve.cli.printing import NORMAL_95, console, counted, interval, numbers, print_table, safe
from evolve.cli.words import command, is_kernel
from evolve.config import OnlineConfig
from evolve.run_folder import RunFolder

if TYPE_CHECKING:
    from evolve.agent_wiring import Agent
    from evolve.archive import Archive
    from evolve.wiring import Run


def first_lines(run: Run, folder: RunFolder, agent: Agent | None) -> None:
    """The sandbox, who proposes, what is improved, how long, and where it can be watched."""
    box, settings = run.sandbox, run.loop.settings
    lacks = f"; not stopped: a candidate {box.does_not_stop.removeprefix('it ')}" if box.does_not_stop else ""
    lacks += ahead_in_words(box.name, settings.workers)
    done = len(run.loop.archive.attempts)
    console().print(
        f"sandbox  [bold]{safe(box.name)}[/]{safe(lacks)}\n"
        f"proposer {_proposer_line(agent, run.space.name)}\n"
        f"space    [bold]{safe(run.space.name)}[/]: {safe(run.space.summary)}\n"
        f"budget   {settings.budget} proposals, seed {settings.seed}, workers {settings.workers}\n"
        f"run      {safe(str(folder.path))}{f', {done} judged before' if done else ''}\n"
        f"watch    {safe(command(f'ui {folder.name}', folder.path.parent))}\n{_online_line(run)}",
        soft_wrap=True,
    )


def _online_line(run: Run) -> str:
    """Whether experiments follow, and how large they are."""
    from evolve.cli.online import first_line

    follows = run.loop.experiments
    return f"then     {first_line(OnlineConfig()).removeprefix('online   ')}\n" if follows else ""


def ahead_in_words(sandbox: str, workers: int) -> str:
    """How many workers may wait idle, and what they hold; nothing where none does."""
    from sandbox.ahead import IDLE_WORKER_BYTES
    from sandbox.choose import started_ahead

    count = 0 if sandbox == "fork" else started_ahead(workers)
    return f"; at most {count} started ahead, {count * IDLE_WORKER_BYTES / 2**30:.1f} GiB in all" if count else ""


def _proposer_line(agent: Agent | None, space: str) -> str:
    if agent is None and is_kernel(space):
        return "[bold]kernels[/]: no model is configured, kernels come from the built-in generators"
    if agent is None:
        return "[bold]catalog[/]: no model is configured, techniques come from the built-in catalogue"
    return f"[bold]{safe(agent.name)}[/]: {safe(agent.costs)}"


def next_steps(folder: RunFolder, runs: Path) -> None:
    """Writes the page, and says where it is and what can be asked next."""
    from evolve.lineage import Lineage
    from evolve.report import write
    from evolve.wiring import read_archive

    archive = read_archive(folder)
    page = write(archive, Lineage(folder.lineage), folder.report)
    champion = archive.champion.number if archive.champion else 0
    more = [command(f"ui {folder.name}", runs), command("log", runs), command(f"show {champion}", runs)]
    if not archive.ended:
        more = [command(f"start --resume {folder.name}", runs), *more]
    elif archive.campaign:
        more = [command("experiments", runs), command("pr list", runs), *more]
    said = "\n        ".join(safe(line) for line in more)
    console().print(f"\nreport: {safe(str(page))}\nnext:   {said}", soft_wrap=True)


def summary(archive: Archive, reason: str) -> None:
    """How a run ended: the champion, what was confirmed, and the one look at the test labels."""
    screen = console()
    promoted = [c for c in archive.confirmations if c.promoted]
    screen.print(f"\n[bold]ended[/]: {safe(reason)}" if archive.ended else f"\n[bold]{safe(reason)}[/]")
    if archive.champion is None:
        return
    screen.print(_champion_line(archive))
    looks = counted(len(archive.confirmations), "look")
    unseen, unit, title = ("unseen users", "users", "test labels, looked at once")
    if is_kernel(archive.settings["space"]):
        unseen, unit, title = ("fresh measurements", "timed rounds", "measured anew, in fresh processes")
    screen.print(f"confirmed: {counted(len(promoted), 'step')} in {looks} at {unseen}")
    for look in promoted:
        screen.print(f"  #{look.number} over #{look.against}: {interval(look.verdict)}, {look.verdict.users} {unit}")
    if archive.final:
        names = tuple(next(iter(archive.final.rows.values())))
        rows = [[safe(name), *numbers(row, names)] for name, row in archive.final.rows.items()]
        screen.print()
        print_table(title, ("", *map(safe, names)), rows)
        screen.print(f"champion against seed: {interval(archive.final.verdict)}")


def _champion_line(archive: Archive) -> str:
    champion = archive.champion
    assert champion is not None
    if champion.number == 0:
        return "champion:  the seed; no candidate was confirmed to be better"
    attempt = next(a for a in archive.attempts if a.candidate == champion)
    line = f"champion:  [bold]#{champion.number}[/] {safe(attempt.proposal.technique)}"
    if attempt.outcome.kind == "scored":
        half = NORMAL_95 * attempt.outcome.standard_error
        line += f", {attempt.outcome.gain:+.4f} ± {half:.4f} over the seed in the search"
    return line
