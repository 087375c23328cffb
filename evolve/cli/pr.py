"""`evolve pr`: pull requests of a run, in its own lineage. They can be reviewed while the run goes on."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evolve.cli.look import Json, Out, RunName, print_diff
from evolve.cli.printing import clean, console, counted, print_json, print_table, safe
from evolve.cli.words import RUNS
from evolve.run_folder import find

if TYPE_CHECKING:
    from evolve.review.opened import Opened
    from evolve.review.pulls import Pull

STATE_COLOURS = {"open": "yellow", "approved": "green", "rejected": "red", "rolled back": "magenta"}

Number = Annotated[int, typer.Argument(help="The pull request's number.")]
Remark = Annotated[str, typer.Argument(help="What to remember.")]
Reason = Annotated[str, typer.Option(help="Why; a proposer can read it.")]
Text = Annotated[str, typer.Option("--text", help="A remark that is kept with it.")]

pr = typer.Typer(help="Pull requests: what the search confirmed, for a person to judge.", no_args_is_help=True)


def _desk(run: str, out: Path) -> AbstractContextManager[Opened]:
    from evolve.review.opened import opened
    from evolve.wiring import WallClock

    return opened(find(out, run or None), WallClock())


@pr.command("list")
def list_pulls(run: RunName = "", out: Out = RUNS, json: Json = False) -> None:
    """Every pull request and how it stands."""
    from evolve.review.pulls import pulls

    with _desk(run, out) as opened:
        found = pulls(opened.archive)
        if json:
            print_json([_as_json(opened, one) for one in found])
            return
        rows = [_as_row(opened, one) for one in found]
    if rows:
        print_table("", ("", "state", "candidate", "at unseen users", "what"), rows)
    else:
        console().print("no promotion has opened a pull request yet")


@pr.command("show")
def show(number: Number, run: RunName = "", out: Out = RUNS, json: Json = False) -> None:
    """The text of a pull request, in Markdown."""
    from evolve.review.body import body
    from evolve.review.pulls import pull

    with _desk(run, out) as opened:
        found = pull(opened.archive, number)
        text = body(opened.archive, found, opened.folder.name, opened.unseen(found))
        if json:
            print_json({**_as_json(opened, found), "body": text})
        else:
            print(clean(text), end="")


@pr.command("diff")
def diff(number: Number, run: RunName = "", out: Out = RUNS) -> None:
    """What a pull request changes, against the one before it."""
    with _desk(run, out) as opened:
        print_diff(opened.lineage.diff(*opened.ends(number)))


@pr.command("comment")
def comment(number: Number, text: Remark, run: RunName = "", out: Out = RUNS) -> None:
    """Keeps a remark with a pull request."""
    with _desk(run, out) as opened:
        opened.desk.comment(number, text)


@pr.command("approve")
def approve(number: Number, text: Text = "", run: RunName = "", out: Out = RUNS) -> None:
    """Merges a pull request into `main` and tags it `champion/N`."""
    with _desk(run, out) as opened:
        merge = opened.desk.approve(number, text)
    console().print(f"pull request {number} is merged: {merge}, champion/{number}", soft_wrap=True)


@pr.command("reject")
def reject(number: Number, reason: Reason, run: RunName = "", out: Out = RUNS) -> None:
    """Leaves a pull request, and writes the reason to the journal."""
    with _desk(run, out) as opened:
        opened.desk.reject(number, reason)
    console().print(f"pull request {number} is rejected; the search goes on from what it confirmed", soft_wrap=True)


@pr.command("rollback")
def rollback(number: Number, text: Text = "", run: RunName = "", out: Out = RUNS) -> None:
    """Puts `main` back to what it held before a merge."""
    with _desk(run, out) as opened:
        back = opened.desk.roll_back(number, text)
    console().print(f"pull request {number} is rolled back: {back}", soft_wrap=True)


@pr.command("export")
def export(
    number: Number,
    patch: Annotated[Path, typer.Option(help="The file to write, for `git am`.")],
    run: RunName = "",
    out: Out = RUNS,
) -> None:
    """Writes a pull request as a series of patches, one for each step."""
    with _desk(run, out) as opened:
        patch.write_text(opened.lineage.patches(*opened.ends(number)), encoding="utf-8")
    console().print(f"{safe(str(patch))}: apply it with git am", soft_wrap=True)


def _as_json(opened: Opened, found: Pull) -> dict[str, Any]:
    from evolve.records import verdict_to_json

    base, head = opened.ends(found.number)
    return {
        "number": found.number,
        "state": found.state,
        "candidate": found.candidate,
        "against": found.look.against,
        "steps": list(found.steps),
        "takes_back": list(found.takes_back),
        "base": base,
        "head": head,
        "verdict": verdict_to_json(found.look.verdict),
        "reviews": [{"kind": r.kind, "text": r.text, "commit": r.commit, "at": r.at} for r in found.reviews],
    }


def _as_row(opened: Opened, found: Pull) -> list[str]:
    state = f"[{STATE_COLOURS[found.state]}]{found.state}[/]"
    look = found.look.verdict
    effect = f"{look.effect:+.4f} \\[{look.low:+.4f}, {look.high:+.4f}]"
    technique = next(a for a in opened.archive.attempts if a.candidate.number == found.candidate).proposal.technique
    what = f"{safe(technique, width=50)}, {counted(len(found.steps), 'step')}"
    return [f"[bold]{found.number}[/]", state, f"#{found.candidate}", effect, what]
