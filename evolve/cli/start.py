"""`evolve start`: opens a run, shows it while it goes on, and says how it ended."""

from __future__ import annotations

import os
import shutil
import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from evolve.cli import told
from evolve.cli.options import DEFAULT_BUDGET, Budget, Model, NoOnline, Repository, Thinking
from evolve.cli.printing import console, safe
from evolve.config import DEFAULT_SPACE, ModelConfig, OnlineConfig, StartConfig, cache_folder, seconds
from evolve.errors import EvolveError
from evolve.run_folder import RunFolder, create, find

if TYPE_CHECKING:
    from evolve.cli.live import Live
    from evolve.wiring import Run

SHORT_OF_THE_BUDGET = 1
INTERRUPTED = 130
AT_ONCE_GRACE_S = 5.0
"""How long an interrupted process may take to close its sandbox before it leaves without."""


def start(
    space: Annotated[str, typer.Option(help="What is to be improved; see `evolve spaces`.")] = DEFAULT_SPACE,
    budget: Budget = None,
    budget_time: Annotated[str, typer.Option(help="Also stop proposing after this long, e.g. 10m.")] = "",
    seed: Annotated[int, typer.Option(help="Same seed, same machine: the same lineage.")] = 0,
    workers: Annotated[int, typer.Option(help="Sandbox sessions at once; 0: one a core (kernels: one).")] = 0,
    sandbox: Annotated[str, typer.Option(help="auto, docker, podman, bubblewrap, landlock, local or fork.")] = "auto",
    image: Annotated[str, typer.Option(help="A container image of your own; see `evolve sandbox build`.")] = "",
    runtime: Annotated[str, typer.Option(help="The engine's runtime, e.g. runsc (gVisor).")] = "",
    gpus: Annotated[str, typer.Option(help="Devices for Docker, e.g. 0,1: each session sees one.")] = "",
    out: Annotated[Path, typer.Option(help="Where run folders are.")] = Path("runs"),
    resume: Annotated[str, typer.Option(help="Continue the run of this name; the newest where none is given.")] = "",
    data: Annotated[str, typer.Option(help="A data set of `evolve data list`, for a space that takes one.")] = "",
    world: Annotated[str, typer.Option(help="Family of the generated world (video_ranking).")] = "aligned",
    policy: Annotated[str, typer.Option(help="How a kernel to go on from is chosen: uct or greedy.")] = "",
    model: Model = "",
    api_base: Annotated[str, typer.Option(help="An OpenAI-compatible endpoint; on this machine it is free.")] = "",
    price: Annotated[str, typer.Option(help="PROMPT,ANSWER in USD a million tokens, where it is not known.")] = "",
    budget_usd: Annotated[float | None, typer.Option(help="Stop before models cost more than this.")] = None,
    budget_tokens: Annotated[int | None, typer.Option(help="Stop before models take more tokens than this.")] = None,
    thinking: Thinking = None,
    prompt_tokens: Annotated[int, typer.Option(help="The longest prompt; under 8000: for small models.")] = 0,
    auto_approve: Annotated[bool, typer.Option("--auto-approve", help="Merge each promotion; nobody reviews.")] = False,
    no_online: NoOnline = False,
    repo: Repository = None,
    path: Annotated[str, typer.Option(help="The folder of --repo that holds the candidate's files.")] = "",
    tests: Annotated[str, typer.Option(help='Its tests, run in the sandbox, e.g. "python -m pytest -q tests".')] = "",
    quiet: Annotated[bool, typer.Option("--quiet", help="One line for each event in place of the live table.")] = False,
) -> None:
    """Starts a run, or continues one with --resume, and shows it while it goes on.

    Exit code 0: it ended as asked; 1: it ended before the budget was spent; 2: an error; 130: interrupted.
    """
    old = find(out, None if resume == "latest" else resume) if resume else None
    config = StartConfig(
        space=space,
        budget=_budget(budget, old),
        budget_s=seconds(budget_time) if budget_time else None,
        seed=seed,
        workers=workers,
        sandbox=sandbox,
        image=image,
        runtime=runtime,
        gpus=gpus,
        runs=out,
        dataset=data,
        world=world,
        policy=policy,
        thinking=thinking,
        auto_approve=auto_approve,
        online=not no_online,
        repository=repo,
        path=path,
        tests=tests,
    ).checked()
    asked = ModelConfig(model=model, api_base=api_base, price=price, prompt_tokens=prompt_tokens)
    asked = replace(asked, budget_usd=budget_usd, budget_tokens=budget_tokens).checked()
    raise typer.Exit(_drive(config, asked, old, quiet=quiet) if old else _drive_new(config, asked, quiet=quiet))


def _budget(asked: int | None, old: RunFolder | None) -> int:
    """What was asked for; else what the run that is resumed was started with; else the default."""
    if asked is not None:
        return asked
    if old is not None:
        from evolve.journal import read

        first = next(read(old.journal), None)
        return int(first.body["budget"]) if first else DEFAULT_BUDGET
    return DEFAULT_BUDGET


def _drive_new(config: StartConfig, asked: ModelConfig, *, quiet: bool) -> int:
    """A new run; its folder goes again where not even the first record was written."""
    from evolve.lineage import require_git
    from evolve.model_words import thinking_of
    from search_spaces.space import load

    load(config.space)
    require_git()
    config = replace(config, thinking=thinking_of(asked, config.thinking, config.runs))
    folder = create(config.runs, f"{config.space.replace(':', '-')}-{config.seed}")
    try:
        return _drive(config, asked, folder, quiet=quiet)
    except (EvolveError, KeyboardInterrupt):
        if not folder.journal.exists() or not folder.journal.stat().st_size:
            shutil.rmtree(folder.path)
        raise


def _drive(config: StartConfig, asked: ModelConfig, folder: RunFolder, *, quiet: bool) -> int:
    from evolve import agent_wiring, model_words
    from evolve.cli.live import Live
    from evolve.wiring import open_run

    screen = console()
    live = Live(screen, plain=quiet or not screen.is_terminal)
    models = model_words.resumed(asked, folder)
    with (
        agent_wiring.open_agent(models, folder, config.runs, lambda line: live.say(safe(line))) as agent,
        open_run(
            config,
            folder,
            cache_folder(),
            observer=live.on_record,
            report=live.on_report,
            proposer=agent.make if agent else None,
            model_answers=agent is not None,
        ) as run,
    ):
        if agent:
            model_words.save(models, folder)
        told.first_lines(run, folder, agent)
        archive = run.loop.archive
        live.follow(archive, run.loop.settings)
        with _interruptible(run, live), live:
            reason = run.loop.run()
        told.summary(archive, reason)
        if agent:
            console().print(agent_wiring.spent_line(agent))
    if not archive.ended:
        told.next_steps(folder, config.runs)
        return INTERRUPTED
    if archive.by_experiment:
        _experiment(config, models, folder)
    told.next_steps(folder, config.runs)
    limits = (config.budget_s, models.budget_usd, models.budget_tokens)
    spent = archive.counted >= config.budget or any(limit is not None for limit in limits)
    return 0 if spent else SHORT_OF_THE_BUDGET


@contextmanager
def _interruptible(run: Run, live: Live) -> Generator[None]:
    """Ctrl-C once: what is in flight is finished; twice: at once. Both can be resumed."""

    def leave(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        threading.Timer(AT_ONCE_GRACE_S, os._exit, (INTERRUPTED,)).start()
        live.abandon()
        run.sandbox.close()
        os._exit(INTERRUPTED)

    def finish(_number: int, _frame: FrameType | None) -> None:
        run.loop.stop()
        signal.signal(signal.SIGINT, leave)
        live.say("[yellow]stopping when what is in flight is judged; Ctrl-C again stops at once[/]")

    before = signal.signal(signal.SIGINT, finish)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _experiment(config: StartConfig, models: ModelConfig, folder: RunFolder) -> None:
    """The outer loop over what the search found."""
    from evolve import agent_wiring
    from evolve.cli import online
    from evolve.online_wiring import open_online

    telling = online.Telling()
    with (
        agent_wiring.open_reorder(models, folder, config.runs, online.note) as reorder,
        open_online(
            folder, cache_folder(), OnlineConfig(), observer=telling.on_record, sandbox=config.sandbox,
            workers=config.workers, auto_approve=config.auto_approve, reorder=reorder,
        ) as (outer, agent),
    ):  # fmt: skip
        telling.archive = outer.archive
        console().print("\n" + online.first_line(outer.config), soft_wrap=True)
        with online.interruptible(outer.stop):
            reason = outer.run(agent)
        online.summary(outer.archive, reason, folder, config.runs)
