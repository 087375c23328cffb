"""`evolve pr push`, `rebase`, `attribute`: what leaves this machine, or is measured again in the sandbox."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from evolve.cli.look import Out, RunName
from evolve.cli.pr import Number, at_desk, say_of_target
from evolve.cli.printing import clean, console, interval, safe, verdict_in_words
from evolve.cli.words import RUNS

if TYPE_CHECKING:
    from evolve.rejudging import Rejudging
    from evolve.review.forge import Offer
    from evolve.review.opened import Opened

Sandbox = Annotated[str, typer.Option(help="auto, docker, podman, bubblewrap, landlock, local or fork.")]


def push(
    number: Number,
    remote: Annotated[str, typer.Option(help="Where to: a URL.")],
    forge: Annotated[str, typer.Option(help="Also open it there: github (with GH_TOKEN or GITHUB_TOKEN).")] = "",
    base: Annotated[str, typer.Option(help="The branch there that it is to be merged into.")] = "",
    force: Annotated[bool, typer.Option("--force", help="Replace the branch there.")] = False,
    limit: Annotated[str, typer.Option(help="Give up after this long.")] = "2m",
    run: RunName = "",
    out: Out = RUNS,
) -> None:
    """Pushes a pull request's branch to a git server, writes its text to a file, and opens it on a forge."""
    from evolve.config import seconds
    from evolve.errors import UsageError
    from evolve.review import forge as forges

    if forge not in ("", "github"):
        raise UsageError(f"--forge is `{forge}`; known is github", hint="Elsewhere push, and use the body file.")
    if forge:
        forges.token()
    with at_desk(run, out) as desk:
        offer = _offer(desk, number, base)
        file = desk.folder.path / "pulls" / f"{number}.md"
        file.parent.mkdir(exist_ok=True)
        file.write_text(offer.body, encoding="utf-8")
        forges.push(offer, remote, force=force, limit_s=seconds(limit))
        where = forges.hidden(remote)
        console().print(f"{safe(offer.branch)} is at {safe(where)}; its text: {safe(str(file))}", soft_wrap=True)
        if forge:
            address = forges.open_on_github(offer, remote, limit_s=seconds(limit))
            desk.desk.comment(number, f"opened as {address}")
            console().print(f"opened as {safe(address)}", soft_wrap=True)


def _offer(desk: Opened, number: int, base: str) -> Offer:
    from evolve.review.body import body
    from evolve.review.forge import Offer
    from evolve.review.mirror import branch
    from evolve.review.pulls import pull

    found, target, run = pull(desk.archive, number), desk.desk.target, desk.folder.name
    text = body(desk.archive, found, run, desk.unseen(found))
    title = text.partition("\n")[0].removeprefix("# ")
    into = base or (target.branch.removeprefix("refs/heads/") if target else "") or "main"
    where = target.repository if target else desk.lineage.path
    name = branch(run, number) if target else desk.desk.branch(number).removeprefix("refs/heads/")
    return Offer(repository=where, branch=name, base=into, title=title, body=text)


@contextmanager
def _judged(desk: Opened, sandbox: str) -> Generator[Rejudging]:
    from evolve.config import StartConfig, cache_folder
    from evolve.rejudging import open_rejudging

    config, first = StartConfig(sandbox=sandbox).checked(), desk.first_record

    def say(_number: int, line: str) -> None:
        console().print(f"[dim]{safe(line)}[/]", soft_wrap=True)

    with open_rejudging(config, desk.folder, desk.archive, desk.lineage, first, cache_folder(), say) as judge:
        yield judge


def rebase(number: Number, sandbox: Sandbox = "auto", run: RunName = "", out: Out = RUNS) -> None:
    """Lays a stale pull request on what `main` holds and judges it again there, or shows what conflicts.

    Exit code 1: it conflicts, or is no better there.
    """
    with at_desk(run, out) as desk, _judged(desk, sandbox) as judge:
        found = desk.desk.rebase(number, judge.compare)
    if found.verdict is None:
        console().print(f"pull request {number} conflicts with what `main` holds:", soft_wrap=True)
        print(clean(found.text))
        raise typer.Exit(1)
    told = f"{verdict_in_words(found.verdict)} than `main`, {interval(found.verdict)}"
    console().print(f"pull request {number} is {found.commit} on `main`: {told}", soft_wrap=True)
    say_of_target(desk)
    if found.verdict.decision != "better":
        raise typer.Exit(1)


def attribute(number: Number, sandbox: Sandbox = "auto", run: RunName = "", out: Out = RUNS) -> None:
    """Measures what each part of a pull request gives: the whole against the whole less that part."""
    from evolve.review.attribution import measured
    from evolve.review.pulls import pull

    with at_desk(run, out) as desk, _judged(desk, sandbox) as judge:
        found = pull(desk.archive, number)
        review = desk.desk.attribute(number, measured(desk.archive, desk.lineage, found, judge.without, judge.compare))
    for part in review.parts:
        told = interval(part.verdict) if part.verdict else safe(part.reason)
        console().print(f"{safe(part.name)}: {told}", soft_wrap=True)
