"""Commands that read a run: status, log, show, diff, report. They work while another process writes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evolve.cli.printing import (
    COLOURS,
    clean,
    console,
    counted,
    in_words,
    interval,
    print_json,
    print_table,
    safe,
    verdict_in_words,
)
from evolve.cli.words import RUNS, command
from evolve.errors import UsageError
from evolve.run_folder import RunFolder, find

if TYPE_CHECKING:
    from evolve.archive import Archive
    from evolve.contracts import Candidate, Proposal

DETAIL_SHOWN = 2000
"""Characters of a traceback's end."""

Out = Annotated[Path, typer.Option(help="Where run folders are.")]
Run = Annotated[str, typer.Argument(help="The run's name or path; the latest where none is given.")]
RunName = Annotated[str, typer.Option("--run", help="The run's name or path; the latest where none is given.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Number = Annotated[int, typer.Argument(help="The candidate's number.")]


def _open(run: str, out: Path) -> tuple[RunFolder, Archive]:
    from evolve.wiring import read_archive

    folder = find(out, run or None)
    return folder, read_archive(folder, with_code=False)


def _candidate(archive: Archive, number: int) -> Candidate:
    if not 0 <= number < len(archive.candidates):
        last = len(archive.candidates) - 1
        raise UsageError(f"there is no candidate {number}", hint=f"The run has 0 to {last}: see `evolve log`.")
    return archive.candidates[number]


def status(run: Run = "", run_name: RunName = "", out: Out = RUNS, json: Json = False) -> None:
    """How far a run is, and which candidate is the champion."""
    folder, archive = _open(run or run_name, out)
    found = standing(folder, archive)
    if json:
        print_json(found)
        return
    print_table("", ("", ""), [[f"[dim]{name}[/]", text] for name, text in _in_rows(found, archive) if text])
    if not archive.ended and not found["running"]:
        words = safe(command(f"start --resume {folder.name}", out))
        console().print(f"\nIt has not ended; continue with: {words}", soft_wrap=True)


def standing(folder: RunFolder, archive: Archive) -> dict[str, Any]:
    """How far a run is, as plain values."""
    from evolve import records

    outcomes: dict[str, int] = {}
    for attempt in archive.attempts:
        outcomes[attempt.outcome.kind] = outcomes.get(attempt.outcome.kind, 0) + 1
    champion = archive.champion
    outcome = archive.outcome(champion.number) if champion else None
    return {
        "run": folder.name,
        "space": archive.settings["space"],
        "sandbox": archive.settings["sandbox"],
        "seed": archive.settings["seed"],
        "budget": archive.settings["budget"],
        "judged": len(archive.attempts),
        "in_flight": len(archive.pending),
        "refused": len(archive.refusals),
        "outcomes": outcomes,
        "champion": champion.number if champion else None,
        "gain": outcome.gain if outcome is not None and outcome.kind == "scored" else None,
        "promotions": sum(c.promoted for c in archive.confirmations),
        "looks": len(archive.confirmations),
        "alpha_spent": sum(c.verdict.alpha for c in archive.confirmations),
        "floor": records.floor_to_json(archive.floor) if archive.floor else None,
        "final": records.final_to_json(archive.final) if archive.final else None,
        "running": folder.is_held(),
        "ended": archive.ended,
    }


def _in_rows(found: Mapping[str, Any], archive: Archive) -> Iterator[tuple[str, str]]:
    yield "run", f"{safe(found['run'])}, seed {found['seed']}, sandbox {safe(found['sandbox'])}"
    yield "space", safe(found["space"])
    state = f"ended: {safe(found['ended'])}" if found["ended"] else "running" if found["running"] else "interrupted"
    yield "state", state
    more = f", {found['in_flight']} in flight" if found["in_flight"] else ""
    yield "judged", f"{found['judged']} of {found['budget']}{more}, {found['refused']} refused for free"
    kinds = (f"[{COLOURS[kind]}]{n} {kind.replace('_', ' ')}[/]" for kind, n in found["outcomes"].items())
    yield "outcomes", ", ".join(kinds)
    if floor := archive.floor:
        yield (
            "seed",
            f"{safe(floor.metric)} {floor.score:.4f}; nothing below {floor.minimum_effect:.4f} is believed",
        )
    if archive.champion is not None:
        gain = "the seed" if found["gain"] is None else f"{found['gain']:+.4f} over the seed in the search"
        yield "champion", f"[bold]#{found['champion']}[/] {gain}"
    looks = f"{counted(found['promotions'], 'step')} in {counted(found['looks'], 'look')} at unseen users"
    yield "confirmed", f"{looks}, error budget spent {found['alpha_spent']:.4f}"
    if final := archive.final:
        best = sorted(final.rows.items(), key=lambda row: -row[1][final.metric])
        rows = ", ".join(f"{safe(name)} {row[final.metric]:.4f}" for name, row in best)
        yield "test labels", f"{safe(final.metric)}: {rows}"


def log(run: Run = "", run_name: RunName = "", out: Out = RUNS, json: Json = False) -> None:
    """The lineage as a tree with scores: gain over the seed with its 95 % interval."""
    _, archive = _open(run or run_name, out)
    if json:
        print_json([_as_json(archive, candidate) for candidate in archive.candidates])
        return
    from rich.tree import Tree as Drawing

    nodes: dict[str, Drawing] = {}
    for candidate in archive.candidates:
        label = _label(archive, candidate)
        if candidate.parents:
            nodes[candidate.commit] = nodes[candidate.parents[0]].add(label)
        else:
            nodes[candidate.commit] = Drawing(label)
    console().print(nodes[archive.seed.commit])


def _label(archive: Archive, candidate: Candidate) -> str:
    number = f"[bold]#{candidate.number}[/]"
    crown = " [bold yellow]champion[/]" if candidate == archive.champion else ""
    if candidate.number == 0:
        score = f" {safe(archive.floor.metric)} {archive.floor.score:.4f}" if archive.floor else ""
        return f"{number} seed{score}{crown}"
    outcome = archive.outcome(candidate.number)
    came = in_words(outcome) if outcome else "[dim]in flight[/]"
    others = [f"#{archive.by_commit[p].number}" for p in candidate.parents[1:]]
    merged = f" with {' '.join(others)}" if others else ""
    promoted = any(c.promoted and c.number == candidate.number for c in archive.confirmations)
    star = " [green]confirmed[/]" if promoted else ""
    return f"{number} {safe(_proposal(archive, candidate.number).technique, width=40)}{merged}  {came}{star}{crown}"


def _as_json(archive: Archive, candidate: Candidate) -> dict[str, Any]:
    from evolve import records

    proposal = _proposal(archive, candidate.number) if candidate.number else None
    outcome = archive.outcome(candidate.number)
    looks = [c for c in archive.confirmations if c.number == candidate.number]
    return {
        "number": candidate.number,
        "commit": candidate.commit,
        "parents": [archive.by_commit[p].number for p in candidate.parents],
        "champion": candidate == archive.champion,
        "proposal": records.proposal_to_json(proposal) if proposal else None,
        "outcome": records.outcome_to_json(outcome) if outcome else None,
        "confirmations": [
            {"against": c.against, "promoted": c.promoted, "verdict": records.verdict_to_json(c.verdict)} for c in looks
        ],
    }


def _proposal(archive: Archive, number: int) -> Proposal:
    """What candidate `number` (not the seed) proposed: candidates are judged in order, then come those in flight."""
    judged = len(archive.attempts)
    found = archive.attempts[number - 1] if number <= judged else archive.pending[number - judged - 1]
    return found.proposal


def show(number: Number, run: RunName = "", out: Out = RUNS, json: Json = False) -> None:
    """One candidate: hypothesis, diff, outcome, verdict."""
    folder, archive = _open(run, out)
    candidate = _candidate(archive, number)
    if json:
        print_json({**_as_json(archive, candidate), "diff": _diff(folder, archive, candidate, None)})
        return
    screen = console()
    crown = "  [bold yellow]champion[/]" if candidate == archive.champion else ""
    screen.print(f"[bold]#{number}[/]  commit {candidate.commit}{crown}", soft_wrap=True)
    if not candidate.parents:
        screen.print(f"the seed of {safe(archive.settings['space'])}: everything is compared with it")
        return
    rows = _about(archive, candidate)
    print_table("", ("", ""), [[f"[dim]{name}[/]", text] for name, text in rows if text.strip()])
    screen.print()
    print_diff(_diff(folder, archive, candidate, None))


def _about(archive: Archive, candidate: Candidate) -> Iterator[tuple[str, str]]:
    proposal, outcome = _proposal(archive, candidate.number), archive.outcome(candidate.number)
    observable = proposal.observable
    yield "parents", ", ".join(f"#{archive.by_commit[p].number}" for p in candidate.parents)
    yield "technique", f"{safe(proposal.technique)} ({proposal.persona}, {proposal.move})"
    yield "hypothesis", safe(proposal.hypothesis)
    yield "mechanism", safe(proposal.mechanism)
    yield "observable", safe(f"{observable.name}: {observable.direction}") if observable else "none declared"
    if outcome is None:
        yield "outcome", "[dim]in flight[/]"
        return
    yield "outcome", in_words(outcome)
    if outcome.kind == "scored":
        yield "metrics", ", ".join(f"{safe(name)} {value:.4f}" for name, value in outcome.metrics.items())
        yield "claims", ", ".join(f"{safe(name)} {value:.4g}" for name, value in outcome.observables.items())
        if verdict := outcome.verdict:
            yield "verdict", f"{verdict_in_words(verdict)} {interval(verdict)}: {safe(verdict.reason)}"
    yield "detail", safe(getattr(outcome, "detail", "")[-DETAIL_SHOWN:])
    for look in archive.confirmations:
        if look.number == candidate.number:
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
    folder, archive = _open(run, out)
    against = _candidate(archive, other) if other >= 0 else None
    print_diff(_diff(folder, archive, _candidate(archive, number), against))


def _diff(folder: RunFolder, archive: Archive, candidate: Candidate, against: Candidate | None) -> str:
    from evolve.lineage import Lineage

    older = against.commit if against else (candidate.parents or (candidate.commit,))[0]
    return Lineage(folder.lineage).diff(older, candidate.commit)


def print_diff(text: str) -> None:
    """A diff, coloured on a terminal; what a terminal would obey is taken out."""
    from rich.syntax import Syntax

    screen = console()
    plain = clean(text)
    if screen.is_terminal:
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

    folder, archive = _open(run or run_name, out)
    print(write(archive, Lineage(folder.lineage), output or folder.report))
