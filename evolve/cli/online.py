"""`evolve online`, `evolve experiments`, `evolve calibration`: the outer loop alone, and what its experiments say."""

from __future__ import annotations

import signal
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evolve.cli.printing import console, print_json, print_table, safe
from evolve.cli.words import RUNS, command
from evolve.config import OnlineConfig, cache_folder
from evolve.errors import UsageError
from evolve.run_folder import RunFolder, find

if TYPE_CHECKING:
    from evolve.archive import Archive
    from evolve.campaign import Experiment
    from evolve.contracts import Decision
    from evolve.journal import Record

DEFAULTS = OnlineConfig()
INTERRUPTED = 130
FORTNIGHT, WEEK = 14, 7
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
    from evolve.online_wiring import open_online

    if drill:
        _drill()
        return
    folder = find(out, run or None)
    asked = OnlineConfig(days=days, top=top, slots=slots, users=users, platform=platform).checked()
    telling = Telling()
    with open_online(
        folder, cache_folder(), asked, observer=telling.on_record, sandbox=sandbox, workers=workers,
        auto_approve=auto_approve,
    ) as (outer, agent):  # fmt: skip
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


def first_line(config: OnlineConfig) -> str:
    """What the experiments will be, in one line."""
    where = f"the platform at {safe(config.platform)}" if config.platform else f"{config.users} simulated users"
    return (
        f"online   {where}, at most {config.days} days; {config.top} challengers, {config.slots} at a time, in two "
        f"arms each; {config.enrol} days of enrolment, decided from day {config.warm_up + WEEK + config.mature - 1} on; "
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
    return f"[{colour}]{action}[/] {_effect(decision)}{worth}: {safe(decision.reason)}"


def _effect(decision: Decision) -> str:
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
            screen.print(f"  {_name(one)}: {in_words(one.looks[-1].decision)}", soft_wrap=True)
    screen.print(f"next:   {safe(command(f'experiments {folder.name} 1', runs))}", soft_wrap=True)


def _name(one: Experiment) -> str:
    return f"{safe(one.name)}, #{safe(one.challenger)} against #{safe(one.control)}"


# --- looking at experiments ---------------------------------------------------------------------


def experiments(
    run: Run = "",
    number: Annotated[int, typer.Argument(help="One experiment day by day; all in a table where none is given.")] = 0,
    out: Out = RUNS,
    json: Json = False,
) -> None:
    """Shows a run's experiments: arms, day by day, the confidence sequence, guardrails, and the decision."""
    if run.isdigit() and not number and not (out / run).exists():
        run, number = "", int(run)
    archive = _archive(run, out)
    found = archive.campaign.experiments
    if number and not 1 <= number <= len(found):
        raise UsageError(f"there is no experiment {number}", hint=f"The run has 1 to {len(found)}.")
    if json:
        print_json([as_json(one) for one in (found[number - 1 : number] if number else found)])
    elif number:
        _show(found[number - 1])
    else:
        _list(archive)


def _archive(run: str, out: Path) -> Archive:
    from evolve.wiring import read_archive

    archive = read_archive(find(out, run or None))
    if not archive.campaign:
        raise UsageError("the run has no experiments yet", hint=f"Begin them: {command('online ' + run, out)}".rstrip())
    return archive


def _list(archive: Archive) -> None:
    campaign = archive.campaign
    rows = [
        [
            str(one.number), safe(one.kind), f"#{safe(one.challenger)}", f"#{safe(one.control)}",
            f"{one.begun}-{one.looks[-1].day if one.looks else one.begun}",
            f"{sum(exposures(one).values())}", in_words(one.looks[-1].decision) if one.looks else "",
        ]
        for one in campaign.experiments
    ]  # fmt: skip
    print_table("", ("", "kind", "challenger", "control", "days", "users", "last word"), rows)
    waiting = [arm for arm in campaign.queue if arm not in {one.challenger for one in campaign.experiments}]
    level, tests = campaign.settings["level"], campaign.settings["tests"]
    begun = sum(one.kind == "challenge" for one in campaign.experiments)
    queue = ", ".join(f"#{safe(arm)}" for arm in waiting) or "nobody"
    console().print(f"\nday {campaign.day}: #{safe(campaign.champion)} serves; {queue} waits")
    console().print(f"error budget {level:.0%}, shared out among {tests} experiments, {begun} of them begun")


def _show(one: Experiment) -> None:
    screen = console()
    screen.print(f"[bold]{_name(one)}[/] ({safe(one.kind)}), since day {one.begun}: {safe(one.reason)}", soft_wrap=True)
    ramp = ", ".join(f"{share:.0%} of free users from day {day}" for day, share in one.traffic.items())
    arms = ", ".join(f"#{safe(arm)} {users} users" for arm, users in exposures(one).items())
    screen.print(f"traffic {ramp}\narms    {arms}\n", soft_wrap=True)
    shown = [
        look
        for look, before in zip(one.looks, [None, *one.looks], strict=False)
        if before is None or look is one.looks[-1] or _moved(look.decision, before.decision)
    ]
    rows = [[str(look.day), *_cells(look.decision)] for look in shown]
    print_table("", ("day", "cohorts", "north star", "log evidence", "decision", "why"), rows)
    screen.print()
    cells = [[safe(name), f"#{safe(arm)}", f"{users}", f"{mean:.4f}"] for name, arm, users, mean in means(one)]
    print_table("", ("metric of complete cohorts", "arm", "users", "mean"), cells)


def _cells(decision: Decision) -> list[str]:
    said = [str(decision.cohorts), _effect(decision), f"{decision.log_e:+.2f}", safe(str(decision.action))]
    return [*said, safe(decision.reason)]


def _moved(now: Decision, before: Decision) -> bool:
    return (now.cohorts, now.action, now.reason) != (before.cohorts, before.action, before.reason)


def exposures(one: Experiment) -> dict[str, int]:
    """Users that entered each arm, each cohort counted once."""
    seen = {(r.arm, r.entered): r.users for r in one.reports if r.metric == "exposures"}
    return {arm: sum(users for (name, _), users in seen.items() if name == arm) for arm in one.shares}


def means(one: Experiment) -> Iterator[tuple[str, str, int, float]]:
    """Metric, arm, users and mean over the cohorts that were reported, each once."""
    seen = {(r.metric, r.arm, r.entered): r for r in one.reports if r.metric != "exposures"}
    for metric in dict.fromkeys(name for name, _, _ in seen):
        for arm in one.shares:
            rows = [r for (name, who, _), r in seen.items() if (name, who) == (metric, arm)]
            users = sum(r.users for r in rows)
            yield metric, arm, users, sum(r.y for r in rows) / users if users else float("nan")


def as_json(one: Experiment) -> dict[str, Any]:
    """An experiment as plain values."""
    from dataclasses import asdict

    plain = {
        name: getattr(one, name) for name in ("number", "name", "kind", "challenger", "control", "begun", "reason")
    }
    looks = [{"day": look.day, **{k: _finite(v) for k, v in asdict(look.decision).items()}} for look in one.looks]
    metrics = [{"metric": m, "arm": a, "users": u, "mean": _finite(v)} for m, a, u, v in means(one)]
    return {
        **plain, "shares": dict(one.shares), "traffic": {str(d): t for d, t in one.traffic.items()},
        "users": exposures(one), "metrics": metrics, "looks": looks, "ended": one.end is not None,
    }  # fmt: skip


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not abs(value) < float("inf") else value


# --- calibration and the drill -------------------------------------------------------------------


def calibration(
    run: Run = "",
    html: Annotated[Path | None, typer.Option(help="Also write the plot, as one page.")] = None,
    out: Out = RUNS,
    json: Json = False,
) -> None:
    """How far each proxy can be trusted, persona by persona: what finished experiments taught."""
    from evaluations.experiments.calibration import calibrate
    from evolve.lessons import lessons

    learned = lessons(_archive(run, out))
    found = calibrate(learned)
    rows = [
        {
            "proxy": row.proxy, "persona": row.persona or "all", "slope": row.slope, "low": row.low, "high": row.high,
            "correlation": row.correlation, "experiments": row.lessons, "trust": str(row.trust),
        }
        for row in found.rows
    ]  # fmt: skip
    if json:
        print_json(
            {
                "rows": rows,
                "thresholds": {k: _finite(v) for k, v in found.thresholds.items()},
                "lines": list(found.lines),
            }
        )
        return
    cells = [
        [
            safe(row.proxy), safe(row.persona or "all"), f"{row.slope:+.3g}", f"\\[{row.low:+.3g}, {row.high:+.3g}]",
            f"{row.correlation:+.2f}", str(row.lessons), safe(str(row.trust)),
        ]
        for row in found.rows
    ]  # fmt: skip
    title = "what the north star gains for one unit of a proxy, with 95 % interval"
    print_table(title, ("proxy", "persona", "slope", "interval", "correlation", "experiments", ""), cells)
    for line in found.lines or ("no proxy is known to mislead",):
        console().print(safe(line), soft_wrap=True)
    if html is not None:
        from evolve.report.experiments import calibration_page

        html.write_text(calibration_page(learned), encoding="utf-8")
        console().print(safe(str(html)))


def _drill() -> None:
    from evolve.drill import drill

    found = drill()
    for line in found.lines:
        console().print(safe(line))
    if not found.passed:
        raise typer.Exit(1)
