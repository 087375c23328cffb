"""`evolve pr`: pull requests of a run, in its own lineage. They can be reviewed while the run goes on."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evolve.cli.look import Json, Out, RunName, opened, print_diff
from evolve.cli.printing import clean, console, counted, print_json, print_table, safe
from evolve.cli.words import RUNS
from evolve.run_folder import find

if TYPE_CHECKING:
    from evolve.index import Index
    from evolve.lineage import Lineage
    from evolve.review.opened import Opened
    from evolve.review.pulls import Pull

STATE_COLOURS = {
    "open": "yellow",
    "approved": "green",
    "rejected": "red",
    "rolled back": "magenta",
    "conflicting": "bold red",
    "not confirmed": "magenta",
}

Number = Annotated[int, typer.Argument(help="The pull request's number.")]
Remark = Annotated[str, typer.Argument(help="What to remember.")]
Reason = Annotated[str, typer.Option(help="Why; a proposer can read it.")]
Text = Annotated[str, typer.Option("--text", help="A remark that is kept with it.")]

pr = typer.Typer(help="Pull requests: what the search confirmed, for a person to judge.", no_args_is_help=True)


def at_desk(run: str, out: Path) -> AbstractContextManager[Opened]:
    """Folds a run and opens what its promotions ask for."""
    from evolve.review.opened import at_desk
    from evolve.wiring import WallClock

    return at_desk(find(out, run or None), WallClock())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What is looked up: nothing is folded, and nothing is written but a branch that a killed run left unmade."""

    index: Index
    lineage: Lineage
    heads: Mapping[int, str]

    def ends(self, number: int) -> tuple[str, str]:
        """What a pull request is compared with, and the last commit of its branch."""
        from evolve.review.desk import base_of

        return base_of(self.lineage, self.index, number), self.heads[number]


@contextmanager
def _seen(run: str, out: Path) -> Generator[_Seen]:
    from evolve.lineage import Lineage
    from evolve.review.desk import heads_of

    with opened(run, out) as (folder, index):
        lineage = Lineage(folder.lineage)
        heads = heads_of(lineage)
        if len(heads) < len(index.promoted):
            with at_desk(run, out):
                heads = heads_of(lineage)
        yield _Seen(index=index, lineage=lineage, heads=heads)


@pr.command("list")
def list_pulls(run: RunName = "", out: Out = RUNS, json: Json = False) -> None:
    """Every pull request and how it stands."""
    from evolve.review.pulls import pulls

    with _seen(run, out) as seen:
        found = pulls(seen.index)
        if json:
            print_json([_as_json(seen.ends(one.number), one) for one in found])
            return
        rows = [_as_row(seen.index, one) for one in found]
    if rows:
        print_table("", ("", "state", "candidate", "at unseen users", "what"), rows)
    else:
        console().print("no promotion has opened a pull request yet")


@pr.command("show")
def show(number: Number, run: RunName = "", out: Out = RUNS, json: Json = False) -> None:
    """The text of a pull request, in Markdown."""
    from evolve.review.body import body
    from evolve.review.desk import base_of, head_of
    from evolve.review.pulls import pull

    with at_desk(run, out) as desk:
        found = pull(desk.archive, number)
        text = body(desk.archive, found, desk.folder.name, desk.unseen(found))
        if json:
            ends = base_of(desk.lineage, desk.archive, number), head_of(desk.lineage, number)
            print_json({**_as_json(ends, found), "body": text})
        else:
            print(clean(text), end="")


@pr.command("diff")
def diff(number: Number, run: RunName = "", out: Out = RUNS) -> None:
    """What a pull request changes, against the one before it."""
    from evolve.review.pulls import pull

    with _seen(run, out) as seen:
        pull(seen.index, number)
        print_diff(seen.lineage.diff(*seen.ends(number)))


@pr.command("comment")
def comment(number: Number, text: Remark, run: RunName = "", out: Out = RUNS) -> None:
    """Keeps a remark with a pull request."""
    with at_desk(run, out) as desk:
        desk.desk.comment(number, text)


@pr.command("approve")
def approve(number: Number, text: Text = "", run: RunName = "", out: Out = RUNS) -> None:
    """Merges a pull request into `main` and tags it `champion/N`."""
    with at_desk(run, out) as desk:
        merge = desk.desk.approve(number, text)
    console().print(f"pull request {number} is merged: {merge}, champion/{number}", soft_wrap=True)
    say_of_target(desk)


@pr.command("reject")
def reject(number: Number, reason: Reason, run: RunName = "", out: Out = RUNS) -> None:
    """Leaves a pull request, and writes the reason to the journal."""
    with at_desk(run, out) as desk:
        desk.desk.reject(number, reason)
    console().print(f"pull request {number} is rejected; the search goes on from what it confirmed", soft_wrap=True)


@pr.command("rollback")
def rollback(number: Number, text: Text = "", run: RunName = "", out: Out = RUNS) -> None:
    """Puts `main` back to what it held before a merge."""
    with at_desk(run, out) as desk:
        back = desk.desk.roll_back(number, text)
    console().print(f"pull request {number} is rolled back: {back}", soft_wrap=True)
    say_of_target(desk)


def say_of_target(desk: Opened) -> None:
    """What became of it in the user's own repository."""
    if said := desk.desk.said_of_target:
        console().print(safe(said), soft_wrap=True)


@pr.command("export")
def export(
    number: Number,
    patch: Annotated[Path, typer.Option(help="The file to write, for `git am`.")],
    run: RunName = "",
    out: Out = RUNS,
) -> None:
    """Writes a pull request as a series of patches, one for each step."""
    from evolve.review.pulls import pull

    with _seen(run, out) as seen:
        pull(seen.index, number)
        patch.write_text(seen.lineage.patches(*seen.ends(number)), encoding="utf-8")
    console().print(f"{safe(str(patch))}: apply it with git am", soft_wrap=True)


def _as_json(ends: tuple[str, str], found: Pull) -> dict[str, Any]:
    from evolve.records import verdict_to_json

    base, head = ends
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


def _as_row(index: Index, found: Pull) -> list[str]:
    state = f"[{STATE_COLOURS[found.state]}]{found.state}[/]"
    look = found.look.verdict
    effect = f"{look.effect:+.4f} \\[{look.low:+.4f}, {look.high:+.4f}]"
    what = f"{safe(index.row(found.candidate).technique, width=50)}, {counted(len(found.steps), 'step')}"
    return [f"[bold]{found.number}[/]", state, f"#{found.candidate}", effect, what]
