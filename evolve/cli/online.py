"""`evolve online`: the outer loop alone, a line for each event; a rollback, and its drill."""

from __future__ import annotations

import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from evolve.cli.printing import console, safe
from evolve.cli.words import RUNS, command
from evolve.config import OnlineConfig, cache_folder
from evolve.run_folder import RunFolder, find

if TYPE_CHECKING:
    from evolve.archive import Archive
    from evolve.campaign import Experiment
    from evolve.contracts import Decision
    from evolve.journal import Record

DEFAULTS = OnlineConfig()
INTERRUPTED = 130
FORTNIGHT, WEEK, NORTH_STAR_DAYS = 14, 7, 56
COLOURS = {"promote": "bold green", "keep": "green", "roll back": "red", "quarantine": "bold red", "drop": "yellow"}

Out = Annotated[Path, typer.Option(help="Where run folders are.")]
Run = Annotated[str, typer.Argument(help="The run's name or path; the latest where none is given.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def online(
    run: Run = "",
    days: Annotated[int, typer.Option(help="Days that are lived in all.")] = DEFAULTS.days,
    top: Annotated[int, typer.Option(help="Challengers that get an experiment.")] = DEFAULTS.top,
    slots: Annotated[int, typer.Option(help="Experiments that enrol at the same time.")] = DEFAULTS.slots,
    users: Annotated[int, typer.Option(help="Users of the simulated production.")] = DEFAULTS.users,
    platform: Annotated[str, typer.Option(help="Address of an A/B service; empty: the simulated production.")] = "",
    a_a: Annotated[bool, typer.Option("--aa", help="Also run the champion against itself.")] = False,
    roll_back: Annotated[str, typer.Option(help="REASON: give production back to the champion of before.")] = "",
    drill: Annotated[bool, typer.Option("--drill", help="Try a rollback on a production of its own.")] = False,
    sandbox: Annotated[str, typer.Option(help="As for `evolve start`.")] = "auto",
    workers: Annotated[int, typer.Option(help="Sandbox sessions at once; 0: as the run began.")] = 0,
    auto_approve: Annotated[bool, typer.Option("--auto-approve", help="Merge each promotion; nobody reviews.")] = False,
    out: Out = RUNS,
) -> None:
    """Runs the outer loop alone: experiments of a run's best candidates on people, one simulated day after the other.

    Works on a finished run and beside a running one; given again it goes on where it stopped.
    """
    from evolve import agent_wiring, model_words
    from evolve.online_wiring import open_online

    if drill:
        _drill()
        return
    folder = find(out, run or None)
    asked = OnlineConfig(days=days, top=top, slots=slots, users=users, platform=platform).checked()
    telling = Telling()
    with (
        agent_wiring.open_reorder(model_words.saved(folder), folder, out, note) as reorder,
        open_online(
            folder, cache_folder(), asked, observer=telling.on_record, sandbox=sandbox, workers=workers,
            auto_approve=auto_approve, reorder=reorder,
        ) as (outer, agent),
    ):  # fmt: skip
        telling.archive = outer.archive
        if roll_back:
            agent.roll_back(roll_back)
            return
        if a_a:
            agent.enqueue_a_a()
        console().print(first_line(outer.config), soft_wrap=True)
        with interruptible(outer.stop):
            reason = outer.run(agent)
        summary(outer.archive, reason, folder, out)
    if outer.stopped:
        raise typer.Exit(INTERRUPTED)


def note(line: str) -> None:
    """A remark in passing."""
    console().print(f"[yellow]{safe(line)}[/]")


def first_line(config: OnlineConfig) -> str:
    """What the experiments will be, in one line."""
    first = config.warm_up + WEEK - 1 + NORTH_STAR_DAYS
    where = f"the platform at {safe(config.platform)}" if config.platform else f"{config.users} simulated users"
    return (
        f"online   {where}, at most {config.days} days; {config.top} challengers, {config.slots} at a time, in two "
        f"arms each; {config.enrol} days of enrolment, decided from day {first} on; "
        f"at most {config.level:.0%} of promotions false"
    )


@contextmanager
def interruptible(stop: Callable[[], None]) -> Generator[None]:
    """Ctrl-C ends after the day that is lived now."""

    def finish(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        console().print("[yellow]stopping at the end of this day; Ctrl-C again stops at once[/]")
        stop()

    before = signal.signal(signal.SIGINT, finish)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class Telling:
    """One line for each event of the outer loop."""

    def __init__(self) -> None:
        self.archive: Archive | None = None

    def on_record(self, record: Record) -> None:
        """Takes a record that was just written and applied."""
        if line := self._line(record):
            console().print(line, soft_wrap=True)

    def _line(self, record: Record) -> str:
        body = record.body
        day = f"[dim]day {body['day']:>3}[/]  " if "day" in body else ""
        if record.kind == "launched":
            arms = f"#{safe(body['challenger'])} against #{safe(body['control'])}"
            return f"{day}{safe(body['experiment'])} begins: {arms} ({safe(body['kind'])}; {safe(body['reason'])})"
        if record.kind == "decided" and body["decision"]["action"] != "extend":
            from evolve.records import decision_from_json

            return f"{day}{safe(body['experiment'])}: {in_words(decision_from_json(body['decision']))}"
        if record.kind == "champion_rolled_back":
            return f"{day}[red]rolled back[/]: #{safe(body['champion'])} serves again ({safe(body['reason'])})"
        if record.kind == "day_ended" and (body["day"] + 1) % FORTNIGHT == 0 and self.archive:
            running = sum(one.end is None for one in self.archive.campaign.experiments)
            return f"{day}[dim]#{safe(body['champion'])} serves; {running} experiments run[/]"
        return ""


def in_words(decision: Decision) -> str:
    """A decision in one line of markup: what, how much, why."""
    action = str(decision.action)
    colour = COLOURS.get(action, "dim")
    worth = "" if decision.shrunk is None else f", {decision.shrunk:+.2%} after shrinkage"
    return f"[{colour}]{action}[/] {effect_in_words(decision)}{worth}: {safe(decision.reason)}"


def effect_in_words(decision: Decision) -> str:
    """The effect with its confidence sequence."""
    if not decision.users:
        return "no north star yet"
    width = f"\\[{decision.low:+.2%}, {decision.high:+.2%}] at {1 - decision.alpha:.2%}"
    return f"{decision.effect:+.2%} {width}, {decision.users} users"


def summary(archive: Archive, reason: str, folder: RunFolder, runs: Path) -> None:
    """How the experiments stand: who serves, and what each said."""
    screen, campaign = console(), archive.campaign
    screen.print(f"\n[bold]experiments[/]: {safe(reason)}; day {campaign.day}, #{safe(campaign.champion)} serves")
    for one in campaign.experiments:
        if one.looks:
            screen.print(f"  {name_of(one)}: {in_words(one.looks[-1].decision)}", soft_wrap=True)
    screen.print(f"next:   {safe(command(f'experiments {folder.name} 1', runs))}", soft_wrap=True)


def name_of(one: Experiment) -> str:
    """An experiment and its arms."""
    return f"{safe(one.name)}, #{safe(one.challenger)} against #{safe(one.control)}"


def _drill() -> None:
    from evolve.drill import drill

    found = drill()
    for line in found.lines:
        console().print(safe(line))
    if not found.passed:
        raise typer.Exit(1)
