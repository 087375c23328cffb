"""Commands that read a run: status, log, show, diff, report. They work while another process writes it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evolve.cli.printing import (
    COLOURS,
    NORMAL_95,
    clean,
    console,
    counted,
    in_words,
    interval,
    painter,
    print_json,
    print_table,
    safe,
    short,
    verdict_in_words,
)
from evolve.cli.tree import drawn
from evolve.cli.words import RUNS, command
from evolve.errors import RunError
from evolve.run_folder import RunFolder, find

if TYPE_CHECKING:
    from evolve.archive import Confirmation
    from evolve.index import Index, Row

DETAIL_SHOWN = 2000
"""Characters of a traceback's end."""

Out = Annotated[Path, typer.Option(help="Where run folders are.")]
Run = Annotated[str, typer.Argument(help="The run's name or path; the latest where none is given.")]
RunName = Annotated[str, typer.Option("--run", help="The run's name or path; the latest where none is given.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Number = Annotated[int, typer.Argument(help="The candidate's number.")]


@contextmanager
def opened(run: str, out: Path) -> Generator[tuple[RunFolder, Index]]:
    """A run's folder and its index, as far as the run has gone."""
    from evolve.index import Index

    folder = find(out, run or None)
    index = Index(folder.journal, folder.lineage, folder.index)
    try:
        if not index.count:
            raise RunError(f"the run {folder.path} has no whole record yet", hint="Start it again with --resume.")
        yield folder, index
    finally:
        index.close()


def status(run: Run = "", run_name: RunName = "", out: Out = RUNS, json: Json = False) -> None:
    """How far a run is, and which candidate is the champion."""
    with opened(run or run_name, out) as (folder, index):
        found = standing(folder, index)
    if json:
        print_json(found)
        return
    print_table("", ("", ""), [[f"[dim]{name}[/]", text] for name, text in _in_rows(found) if text])
    if not found["ended"] and not found["running"]:
        words = safe(command(f"start --resume {folder.name}", out))
        console().print(f"\nIt has not ended; continue with: {words}", soft_wrap=True)


def standing(folder: RunFolder, index: Index) -> dict[str, Any]:
    """How far a run is, as plain values."""
    settings, outcomes, looks = index.proposed(0), index.outcomes, index.confirmations
    judged, champion = sum(outcomes.values()), index.row(index.champion)
    return {
        "run": folder.name,
        "space": settings["space"],
        "sandbox": settings["sandbox"],
        "seed": settings["seed"],
        "budget": settings["budget"],
        "judged": judged,
        "in_flight": index.count - 1 - judged,
        "refused": index.refused,
        "outcomes": outcomes,
        "champion": champion.number,
        "gain": champion.gain if champion.kind == "scored" else None,
        "promotions": sum(c.promoted for c in looks),
        "looks": len(looks),
        "alpha_spent": sum(c.verdict.alpha for c in looks),
        "floor": index.other("floor"),
        "final": index.other("final"),
        "running": folder.is_held(),
        "ended": index.ended,
    }


def _in_rows(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "run", f"{safe(found['run'])}, seed {found['seed']}, sandbox {safe(found['sandbox'])}"
    yield "space", safe(found["space"])
    state = f"ended: {safe(found['ended'])}" if found["ended"] else "running" if found["running"] else "interrupted"
    yield "state", state
    more = f", {found['in_flight']} in flight" if found["in_flight"] else ""
    yield "judged", f"{found['judged']} of {found['budget']}{more}, {found['refused']} refused for free"
    kinds = (f"[{COLOURS[kind]}]{n} {kind.replace('_', ' ')}[/]" for kind, n in found["outcomes"].items())
    yield "outcomes", ", ".join(kinds)
    if floor := found["floor"]:
        least = f"nothing below {floor['minimum_effect']:.4f} is believed"
        yield "seed", f"{safe(floor['metric'])} {floor['score']:.4f}; {least}"
    gain = "the seed" if found["gain"] is None else f"{found['gain']:+.4f} over the seed in the search"
    yield "champion", f"[bold]#{found['champion']}[/] {gain}"
    looks = f"{counted(found['promotions'], 'step')} in {counted(found['looks'], 'look')} at unseen users"
    yield "confirmed", f"{looks}, error budget spent {found['alpha_spent']:.4f}"
    if final := found["final"]:
        metric = final["metric"]
        best = sorted(final["rows"].items(), key=lambda row: -row[1][metric])
        rows = ", ".join(f"{safe(name)} {row[metric]:.4f}" for name, row in best)
        yield "test labels", f"{safe(metric)}: {rows}"


def log(run: Run = "", run_name: RunName = "", out: Out = RUNS, json: Json = False) -> None:
    """The lineage as a tree with scores: gain over the seed with its 95 % interval."""
    with opened(run or run_name, out) as (_, index):
        if json:
            looks = _looks(index)
            print_json([_as_json(index, row, looks[row.number]) for row in index.rows()])
            return
        print("\n".join(drawn(index.rows(), _labels(index))))


def _labels(index: Index) -> Callable[[Row], str]:
    """What a line of the tree says of a candidate."""
    paint, champion, floor = painter(), index.champion, index.other("floor")
    promoted = {look.number for look in index.promoted}

    def label(row: Row) -> str:
        crown = f" {paint('champion', 'bold yellow')}" if row.number == champion else ""
        number = paint(f"#{row.number}", "bold")
        if row.number == 0:
            score = f" {clean(floor['metric'])} {floor['score']:.4f}" if floor else ""
            return f"{number} seed{score}{crown}"
        merged = f" with {' '.join(f'#{n}' for n in row.parents[1:])}" if len(row.parents) > 1 else ""
        star = f" {paint('confirmed', 'green')}" if row.number in promoted else ""
        return f"{number} {short(row.technique, 40)}{merged}  {_came(row, paint)}{star}{crown}"

    return label


def _came(row: Row, paint: Callable[[str, str], str]) -> str:
    """An outcome in one line; a gain comes with the half-width of its 95 % interval."""
    if row.kind is None:
        return paint("in flight", "dim")
    if row.kind == "scored":
        gain = paint(f"{row.gain:+.4f}", COLOURS[row.kind])
        return f"{gain} ± {NORMAL_95 * row.standard_error:.4f} at {clean(row.rung)}"
    return f"{paint(row.kind.replace('_', ' '), COLOURS[row.kind])}: {short(row.reason, 90)}"


def _looks(index: Index) -> defaultdict[int, list[Confirmation]]:
    found: defaultdict[int, list[Confirmation]] = defaultdict(list)
    for look in index.confirmations:
        found[look.number].append(look)
    return found


def _as_json(index: Index, row: Row, looks: Sequence[Confirmation]) -> dict[str, Any]:
    from evolve import records

    judged = index.judged(row.number)
    return {
        "number": row.number,
        "commit": row.commit,
        "parents": list(row.parents),
        "champion": row.number == index.champion,
        "proposal": index.proposed(row.number)["proposal"] if row.number else None,
        "outcome": judged["outcome"] if judged else None,
        "confirmations": [
            {"against": c.against, "promoted": c.promoted, "verdict": records.verdict_to_json(c.verdict)} for c in looks
        ],
    }


def show(number: Number, run: RunName = "", out: Out = RUNS, json: Json = False) -> None:
    """One candidate: hypothesis, diff, outcome, verdict."""
    with opened(run, out) as (folder, index):
        row = index.row(number)
        changed = _diff(folder, index, row, None)
        if json:
            print_json({**_as_json(index, row, _looks(index)[number]), "diff": changed})
            return
        screen = console()
        crown = "  [bold yellow]champion[/]" if row.number == index.champion else ""
        screen.print(f"[bold]#{number}[/]  commit {row.commit}{crown}", soft_wrap=True)
        if not row.parents:
            screen.print(f"the seed of {safe(index.proposed(0)['space'])}: everything is compared with it")
            return
        rows = _about(index, row)
        print_table("", ("", ""), [[f"[dim]{name}[/]", text] for name, text in rows if text.strip()])
    screen.print()
    print_diff(changed)


def _about(index: Index, row: Row) -> Iterator[tuple[str, str]]:
    from evolve import records

    proposal, judged = records.proposal_from_json(index.proposed(row.number)["proposal"], {}), index.judged(row.number)
    observable = proposal.observable
    yield "parents", ", ".join(f"#{number}" for number in row.parents)
    yield "technique", f"{safe(proposal.technique)} ({proposal.persona}, {proposal.move})"
    yield "hypothesis", safe(proposal.hypothesis)
    yield "mechanism", safe(proposal.mechanism)
    yield "observable", safe(f"{observable.name}: {observable.direction}") if observable else "none declared"
    if judged is None:
        yield "outcome", "[dim]in flight[/]"
        return
    outcome = records.outcome_from_json(judged["outcome"])
    yield "outcome", in_words(outcome)
    if outcome.kind == "scored":
        yield "metrics", ", ".join(f"{safe(name)} {value:.4f}" for name, value in outcome.metrics.items())
        yield "claims", ", ".join(f"{safe(name)} {value:.4g}" for name, value in outcome.observables.items())
        if verdict := outcome.verdict:
            yield "verdict", f"{verdict_in_words(verdict)} {interval(verdict)}: {safe(verdict.reason)}"
    yield "detail", safe(getattr(outcome, "detail", "")[-DETAIL_SHOWN:])
    for look in _looks(index)[row.number]:
        end = "[bold green]promoted[/]" if look.promoted else "not promoted"
        found_there = f"{interval(look.verdict)}; {safe(look.verdict.reason)}"
        yield "unseen users", f"{end}, against #{look.against}: {found_there}"


def diff(
    number: Number,
    other: Annotated[int, typer.Argument(help="Against this candidate; its first parent where none is given.")] = -1,
    run: RunName = "",
    out: Out = RUNS,
) -> None:
    """The code that differs between a candidate and its parent, or another candidate."""
    with opened(run, out) as (folder, index):
        against = index.row(other) if other >= 0 else None
        print_diff(_diff(folder, index, index.row(number), against))


def _diff(folder: RunFolder, index: Index, row: Row, against: Row | None) -> str:
    from evolve.lineage import Lineage

    older = against or (index.row(row.parents[0]) if row.parents else row)
    return Lineage(folder.lineage).diff(older.commit, row.commit)


def print_diff(text: str) -> None:
    """A diff, coloured on a terminal; what a terminal would obey is taken out."""
    screen = console()
    plain = clean(text)
    if screen.is_terminal:
        from rich.syntax import Syntax

        screen.print(Syntax(plain, "diff", background_color="default", word_wrap=True))
    else:
        print(plain, end="")


def report(
    run: Run = "",
    run_name: RunName = "",
    output: Annotated[Path | None, typer.Option(help="The file; report.html in the run folder otherwise.")] = None,
    out: Out = RUNS,
) -> None:
    """Writes the run's page: one self-contained HTML file with plots."""
    from evolve.lineage import Lineage
    from evolve.report import write
    from evolve.wiring import read_archive

    folder = find(out, run or run_name or None)
    print(write(read_archive(folder), Lineage(folder.lineage), output or folder.report))
