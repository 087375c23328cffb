"""Commands that read a run: status, log, show, diff, report. They work while another process writes it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evolve.cli.printing import console, in_words, print_json, print_table, safe, verdict_in_words
from evolve.errors import UsageError
from evolve.run_folder import RunFolder, find

if TYPE_CHECKING:
    from rich.tree import Tree as Drawing

    from evolve.archive import Archive
    from evolve.contracts import Candidate

Out = Annotated[Path, typer.Option(help="Where run folders are.")]
RunName = Annotated[str, typer.Option("--run", help="The run's name or path; the latest where none is given.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Number = Annotated[int, typer.Argument(help="The candidate's number.")]


def _open(run: str, out: Path) -> tuple[RunFolder, Archive]:
    from evolve.wiring import read_archive

    folder = find(out, run or None)
    return folder, read_archive(folder)


def _candidate(archive: Archive, number: int) -> Candidate:
    if not 0 <= number < len(archive.candidates):
        last = len(archive.candidates) - 1
        raise UsageError(f"there is no candidate {number}", hint=f"The run has 0 to {last}: see `evolve log`.")
    return archive.candidates[number]


def status(
    run: Annotated[str, typer.Argument(help="The run; the latest where none is given.")] = "",
    out: Out = Path("runs"),
    json: Json = False,
) -> None:
    """How far a run is, and which candidate is the champion."""
    folder, archive = _open(run, out)
    champion = archive.champion
    counts: dict[str, int] = {}
    for attempt in archive.attempts:
        counts[attempt.outcome.kind] = counts.get(attempt.outcome.kind, 0) + 1
    found: dict[str, Any] = {
        "run": folder.name,
        "space": archive.settings["space"],
        "sandbox": archive.settings["sandbox"],
        "seed": archive.settings["seed"],
        "budget": archive.settings["budget"],
        "judged": len(archive.attempts),
        "in_flight": len(archive.pending),
        "refused": len(archive.refusals),
        "outcomes": counts,
        "champion": champion.number if champion else None,
        "promotions": sum(c.promoted for c in archive.confirmations),
        "looks": len(archive.confirmations),
        "ended": archive.ended,
    }
    if json:
        print_json(found)
        return
    rows = [[name.replace("_", " "), safe(str(value))] for name, value in found.items() if value != ""]
    print_table("", ("", ""), rows)
    if not archive.ended:
        console().print(f"not ended; continue with: evolve start --out {out} --resume {folder.name}")


def log(run: RunName = "", out: Out = Path("runs"), json: Json = False) -> None:
    """The lineage as a tree with scores."""
    _, archive = _open(run, out)
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
        score = f" {archive.floor.metric} {archive.floor.score:.4f}" if archive.floor else ""
        return f"{number} seed{score}{crown}"
    attempt = next((a for a in archive.attempts if a.candidate == candidate), None)
    if attempt is None:
        return f"{number} [dim]in flight[/]"
    other = [f"#{archive.by_commit[p].number}" for p in candidate.parents[1:]]
    merged = f" with {' '.join(other)}" if other else ""
    return f"{number} {safe(attempt.proposal.technique)}{merged}  {in_words(attempt.outcome)}{crown}"


def _as_json(archive: Archive, candidate: Candidate) -> dict[str, Any]:
    from evolve import records

    attempt = next((a for a in archive.attempts if a.candidate == candidate), None)
    return {
        "number": candidate.number,
        "commit": candidate.commit,
        "parents": [archive.by_commit[p].number for p in candidate.parents],
        "champion": candidate == archive.champion,
        "proposal": records.proposal_to_json(attempt.proposal) if attempt else None,
        "outcome": records.outcome_to_json(attempt.outcome) if attempt else None,
    }


def show(number: Number, run: RunName = "", out: Out = Path("runs"), json: Json = False) -> None:
    """One candidate: hypothesis, diff, outcome, verdict."""
    folder, archive = _open(run, out)
    candidate = _candidate(archive, number)
    if json:
        print_json({**_as_json(archive, candidate), "diff": _diff(folder, archive, candidate, None)})
        return
    screen = console()
    screen.print(f"[bold]#{number}[/] commit {candidate.commit}")
    attempt = next((a for a in archive.attempts if a.candidate == candidate), None)
    if attempt:
        proposal, outcome = attempt.proposal, attempt.outcome
        observable = proposal.observable
        moves = f"{observable.name} goes {observable.direction}" if observable else "none declared"
        verdict = getattr(outcome, "verdict", None)
        rows = [
            ["hypothesis", safe(proposal.hypothesis)],
            ["mechanism", safe(proposal.mechanism)],
            ["observable", safe(moves)],
            ["technique", f"{safe(proposal.technique)} ({proposal.persona}, {proposal.move})"],
            ["outcome", in_words(outcome)],
            ["verdict", f"{verdict_in_words(verdict)} {safe(verdict.reason) if verdict else ''}"],
            ["detail", safe(getattr(outcome, "detail", "")[-2000:])],
        ]
        print_table("", ("", ""), [row for row in rows if row[1].strip()])
    for look in archive.confirmations:
        if look.number == number:
            end = "promoted" if look.promoted else "not promoted"
            screen.print(f"on unseen users against #{look.against}: {end}; {safe(look.verdict.reason)}")
    _print_diff(_diff(folder, archive, candidate, None))


def diff(
    number: Number,
    other: Annotated[int, typer.Argument(help="Against this candidate; its first parent where none is given.")] = -1,
    run: RunName = "",
    out: Out = Path("runs"),
) -> None:
    """The code that differs between a candidate and its parent, or another candidate."""
    folder, archive = _open(run, out)
    against = _candidate(archive, other) if other >= 0 else None
    _print_diff(_diff(folder, archive, _candidate(archive, number), against))


def _diff(folder: RunFolder, archive: Archive, candidate: Candidate, against: Candidate | None) -> str:
    from evolve.lineage import Lineage

    older = against.commit if against else (candidate.parents or (candidate.commit,))[0]
    return Lineage(folder.lineage).diff(older, candidate.commit)


def _print_diff(text: str) -> None:
    from rich.syntax import Syntax

    screen = console()
    plain = "".join(c for c in text if c in "\n\t" or c.isprintable())
    if screen.is_terminal:
        screen.print(Syntax(plain, "diff", background_color="default"))
    else:
        print(plain, end="")


def report(
    run: Annotated[str, typer.Argument(help="The run; the latest where none is given.")] = "",
    output: Annotated[Path | None, typer.Option(help="The file; report.html in the run folder otherwise.")] = None,
    out: Out = Path("runs"),
) -> None:
    """Writes the run's page: one self-contained HTML file with plots."""
    from evolve.lineage import Lineage
    from evolve.report import write

    folder, archive = _open(run, out)
    print(write(archive, Lineage(folder.lineage), output or folder.report))
