"""`evolve replay`: a run again, step by step, measured anew, as another run, or as a page that plays."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evolve.cli.look import Json, Out, Run, RunName, print_diff
from evolve.cli.printing import console, in_words, interval, print_json, print_table, safe, verdict_in_words
from evolve.cli.words import RUNS, command
from evolve.config import StartConfig, cache_folder
from evolve.errors import UsageError
from evolve.run_folder import RunFolder, find

if TYPE_CHECKING:
    from evolve.contracts import Candidate
    from evolve.lineage import Lineage
    from evolve.replay.again import Played, Recorded
    from evolve.replay.steps import Step
    from evolve.replay.verify import Finding

NOT_REPRODUCED = 1
POLICIES = ("recorded", "shuffled", "catalog")
PAUSE_AT_MOST_S = 5.0
STATE_COLOURS = {"equal": "green", "within noise": "yellow", "differs": "bold red"}


def replay(
    run: Run = "",
    run_name: RunName = "",
    first: Annotated[int, typer.Option("--from", help="Begin at this candidate.")] = 1,
    last: Annotated[int | None, typer.Option("--to", help="End with this candidate.")] = None,
    speed: Annotated[float, typer.Option(help="Wait as the run did, so many times faster; 0 does not wait.")] = 0.0,
    html: Annotated[Path | None, typer.Option(help="Write a page that plays the run, in place of printing.")] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Measure every candidate again and compare.")] = False,
    sample: Annotated[int | None, typer.Option(help="With --verify: only so many candidates, drawn by --seed.")] = None,
    seed: Annotated[int | None, typer.Option(help="Draws --sample; with --as, seed of the new run.")] = None,
    again: Annotated[str, typer.Option("--as", help="Run the search again as this run, from the records.")] = "",
    policy: Annotated[str, typer.Option(help="With --as: recorded, shuffled or catalog.")] = "recorded",
    workers: Annotated[int, typer.Option(help="With --verify: sessions at once; 0 takes one for each core.")] = 0,
    sandbox: Annotated[str, typer.Option(help="With --verify: the sandbox; see `evolve doctor`.")] = "auto",
    out: Out = RUNS,
    json: Json = False,
) -> None:
    """Walks a run's lineage in order: parent, hypothesis, diff, outcome, verdict, decision of each step.

    Exit code 0: done, or reproduced; 1: --verify found a difference that it can't explain, or --as ran out of evidence;
    2: an error.
    """
    folder = find(out, run or run_name or None)
    if verify:
        config = StartConfig(workers=workers, sandbox=sandbox).checked()
        _verify(folder, config, sample, seed or 0, json=json)
        return
    if again:
        _again(folder, again, policy, seed, out, json=json)
        return
    if sample is not None:
        raise UsageError("--sample says how many candidates to verify", hint="Add --verify.")
    _walk(folder, first, last, speed, html, json=json)


# --- step by step ------------------------------------------------------------------------------


def _walk(folder: RunFolder, first: int, last: int | None, speed: float, html: Path | None, *, json: bool) -> None:
    from evolve.journal import read
    from evolve.lineage import Lineage
    from evolve.replay.steps import steps, to_json

    if speed < 0:
        raise UsageError(f"--speed is {speed}; it must be 0 or more", hint="--speed 60 plays a minute in a second.")
    lineage = Lineage(folder.lineage)
    played = steps(read(folder.journal), lineage)
    wanted = (s for s in played if first <= s.candidate.number and (last is None or s.candidate.number <= last))
    if html is not None:
        from evolve.replay.page import write

        print(write(wanted, lineage, folder.name, html))
        return
    if json:
        print_json([to_json(step, _diff(lineage, step)) for step in wanted])
        return
    for step in _paced(wanted, speed):
        _print_step(step, _diff(lineage, step))


def _diff(lineage: Lineage, step: Step) -> str:
    return lineage.diff(step.candidate.parents[0], step.candidate.commit)


def _paced(played: Iterator[Step], speed: float) -> Iterator[Step]:
    """The steps with the run's own pauses, `speed` times shorter and never long."""
    before: float | None = None
    for step in played:
        if speed and before is not None:
            time.sleep(min(PAUSE_AT_MOST_S, max(0.0, step.at - before) / speed))
        before = step.at
        yield step


def _print_step(step: Step, diff: str) -> None:
    screen, proposal = console(), step.proposal
    parents = ", ".join(f"#{number}" for number in step.parents)
    screen.print(f"[bold]#{step.candidate.number}[/] on {parents}  {safe(proposal.technique)} ({proposal.persona})")
    rows = [("hypothesis", safe(proposal.hypothesis)), ("mechanism", safe(proposal.mechanism))]
    if step.outcome is not None:
        rows.append(("outcome", in_words(step.outcome)))
        if step.outcome.kind == "scored" and (found := step.outcome.verdict):
            rows.append(("verdict", f"{verdict_in_words(found)} against #{step.reference}: {safe(found.reason)}"))
    if look := step.confirmation:
        rows.append(("unseen users", f"{interval(look.verdict)} against #{look.against}"))
    rows.append(("decision", f"[bold]{step.decision}[/]; the champion is #{step.champion}"))
    print_table("", ("", ""), [[f"  [dim]{name}[/]", text] for name, text in rows])
    print_diff(diff)
    screen.print()


# --- measured anew -----------------------------------------------------------------------------


def _verify(folder: RunFolder, config: StartConfig, count: int | None, seed: int, *, json: bool) -> None:
    from evolve.checking import open_verification
    from evolve.journal import read
    from evolve.lineage import Lineage
    from evolve.replay.steps import steps
    from evolve.replay.verify import sample, verify
    from evolve.wiring import read_archive

    if count is not None and count < 1:
        raise UsageError(f"--sample is {count}; it must be at least 1")
    archive = read_archive(folder)
    played = steps(read(folder.journal), Lineage(folder.lineage))
    references: dict[int, Candidate] = {s.candidate.number: archive.candidates[s.reference] for s in played}
    numbers = sample(archive, references, count, seed)
    found: list[Finding] = []
    with open_verification(config, folder, archive, cache_folder(), lambda number, line: None) as opened:
        if not json:
            _say_where(opened.sandbox, opened.elsewhere, len(numbers), len(archive.attempts))
        for finding in verify(
            archive,
            numbers,
            references,
            opened.evaluator,
            elsewhere=opened.elsewhere,
            workers=config.workers,
        ):
            found.append(finding)
            if not json:
                _print_progress(finding)
        reproduced = all(f.state != "differs" for f in found)
        if json:
            rows = [asdict(f) for f in found]
            print_json({"reproduced": reproduced, "elsewhere": dict(opened.elsewhere), "findings": rows})
        else:
            _print_end(found, reproduced=reproduced)
    if not reproduced:
        raise typer.Exit(NOT_REPRODUCED)


def _say_where(sandbox: str, elsewhere: object, count: int, judged: int) -> None:
    screen = console()
    screen.print(f"measuring {count} of {judged} candidates again, in {safe(sandbox)}", soft_wrap=True)
    if isinstance(elsewhere, dict) and elsewhere:
        changes = ", ".join(f"{safe(str(k))} {safe(str(v))}" for k, v in elsewhere.items())
        screen.print(f"not where the run was made ({changes}): compared within its noise floor", soft_wrap=True)
    else:
        screen.print("same machine and versions as the run: compared to the last bit")


def _print_progress(finding: Finding) -> None:
    colour = STATE_COLOURS[finding.state]
    console().print(f"[{colour}]{finding.state:>12}[/]  #{finding.number} {finding.what}", soft_wrap=True)


def _print_end(found: list[Finding], *, reproduced: bool) -> None:
    others = [f for f in found if f.state != "equal"]
    screen = console()
    if others:
        screen.print()
        columns = ("", "what", "", "recorded", "found", "why")
        print_table("what differs", columns, [_as_row(f) for f in others])
    equal = sum(f.state == "equal" for f in found)
    end = "[bold green]reproduced[/]" if reproduced else "[bold red]not reproduced[/]"
    screen.print(f"\n{end}: {equal} of {len(found)} measurements are equal to the last bit")


def _as_row(finding: Finding) -> list[str]:
    state = f"[{STATE_COLOURS[finding.state]}]{finding.state}[/]"
    said = (safe(finding.recorded), safe(finding.found), safe(finding.why))
    return [f"#{finding.number}", finding.what, state, *said]


# --- as another run ----------------------------------------------------------------------------


def _again(folder: RunFolder, name: str, policy: str, seed: int | None, out: Path, *, json: bool) -> None:
    from evolve.journal import Journal, read
    from evolve.lineage import Lineage
    from evolve.replay.again import Recorded, play
    from evolve.run_folder import create
    from evolve.wiring import WallClock, catalogue, read_archive

    if policy not in POLICIES:
        raise UsageError(f"there is no policy `{policy}`", hint=f"Policies: {', '.join(POLICIES)}.")
    if policy == "recorded" and seed is not None:
        raise UsageError("the recorded proposals have one order, whatever the seed", hint="Add --policy shuffled.")
    recorded = Recorded(name=folder.name, journal=list(read(folder.journal)), archive=read_archive(folder))
    asked: dict[str, Any] = {}
    if policy == "catalog":
        from search_spaces.space import load

        space = load(recorded.settings["space"])
        asked = {"proposer": catalogue(space, recorded.settings.get("policy", "")), "gate": space.check}
    new, clock = create(out, name), WallClock()
    with new.held():
        journal = Journal(new.journal, clock)
        shuffled = policy == "shuffled"
        played = play(recorded, Lineage(new.lineage), journal, clock, seed=seed, shuffled=shuffled, **asked)
        journal.close()
    _tell(played, recorded, new, out, json=json)
    if played.ran_out or (policy == "recorded" and not played.same):
        raise typer.Exit(NOT_REPRODUCED)


def _tell(played: Played, recorded: Recorded, new: RunFolder, out: Path, *, json: bool) -> None:
    archive, of = played.archive, len(recorded.archive.attempts)
    champion = archive.champion.number if archive.champion else 0
    if json:
        told = {"run": new.name, "judged": len(archive.attempts), "of": of, "champion": champion}
        print_json({**told, "same": played.same, "ran_out": played.ran_out})
        return
    screen = console()
    screen.print(f"judged   {len(archive.attempts)} of {of} from the records of {safe(recorded.name)}")
    screen.print(f"champion #{champion}")
    if played.ran_out:
        screen.print(f"[yellow]ran out of evidence[/]: {safe(played.ran_out)}", soft_wrap=True)
    else:
        went = "every record is equal" if played.same else "it went another way"
        screen.print(f"[green]the search went to its end[/]: {went}")
    screen.print(f"next:    {safe(command(f'log {new.name}', out))}", soft_wrap=True)
