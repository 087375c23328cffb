"""`evolve experiments`, `evolve calibration`: what a run's experiments say. Works while another process writes them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evolve.cli.online import Json, Out, Run, effect_in_words, in_words, name_of
from evolve.cli.printing import console, print_json, print_table, safe
from evolve.cli.words import RUNS, command
from evolve.errors import UsageError
from evolve.run_folder import find

if TYPE_CHECKING:
    from evolve.archive import Archive
    from evolve.campaign import Experiment
    from evolve.contracts import Decision


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
    screen.print(
        f"[bold]{name_of(one)}[/] ({safe(one.kind)}), since day {one.begun}: {safe(one.reason)}", soft_wrap=True
    )
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
    said = [str(decision.cohorts), effect_in_words(decision), f"{decision.log_e:+.2f}", safe(str(decision.action))]
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
