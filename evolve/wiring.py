"""Where the parts meet: the only module that knows every folder. Makes no decision of its own."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agents.guards import known_failure
from evolve.archive import Archive
from evolve.config import KERNEL_PREFIX, StartConfig
from evolve.errors import RunError, SetupError
from evolve.journal import Journal, Record, read
from evolve.lineage import Lineage, require_git
from evolve.loop import Loop, Settings
from evolve.measuring import data_tools, open_walks, yardstick
from evolve.review.desk import Desk
from evolve.run_folder import RunFolder

if TYPE_CHECKING:
    from evaluations.judge import Judge
    from evaluations.task import Yardstick
    from evolve.contracts import Proposer, Sandbox, SearchSpace, Tool
    from evolve.target import Target

Report = Callable[[int, str], None]


class WallClock:
    """The real time."""

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run that can be driven: its folder, its loop, its judge and the sandbox it uses."""

    folder: RunFolder
    loop: Loop
    judge: Judge
    space: SearchSpace
    sandbox: Sandbox


def catalogue(space: SearchSpace, policy: str = "") -> Proposer:
    """The proposer that needs no model: techniques, or for an operator generators of kernels, chosen by `policy`."""
    if space.name.startswith(KERNEL_PREFIX):
        from agents.kernels.proposer import DEFAULT_POLICY, KernelProposer
        from search_spaces.kernel_spec import KERNELS

        return KernelProposer(
            operator=space.name.removeprefix(KERNEL_PREFIX),
            knowledge=KERNELS / "knowledge",
            policy=policy or DEFAULT_POLICY,
            summary=space.summary,
        )
    from agents.catalog import CatalogProposer

    return CatalogProposer(space=space)


def started_body(
    config: StartConfig, space: SearchSpace, task: Yardstick, sandbox: str, proposer: str, target: Target | None = None
) -> dict[str, Any]:
    """The first record of a journal: what the run is, and with which versions."""
    return {
        "space": space.name,
        "space_digest": space.digest,
        "task_digest": task.digest,
        "dataset": config.dataset,
        "world": config.world,
        "seed": config.seed,
        "workers": config.workers,
        "budget": config.budget,
        "sandbox": sandbox,
        "proposer": proposer,
        "metric": space.metric,
        "confirmation": space.confirmation if config.online else "held_out_split",
        "versions": versions(),
        **({"thinking": config.thinking} if config.thinking else {}),
        **({"policy": config.policy} if config.policy else {}),
        **({"target": target.to_json()} if target else {}),
    }


def versions() -> dict[str, str]:
    """What decides bits: interpreter, torch, numpy, machine, processor."""
    names = ("evolve-automl", "torch", "numpy", "scipy", "optuna", "libcst")
    found = {name: metadata.version(name) for name in names if _installed(name)}
    return {"python": platform.python_version(), "machine": platform.machine(), "processor": _processor(), **found}


def _processor() -> str:
    """The processor's model: another one may sum in another order and give other last bits."""
    table = Path("/proc/cpuinfo")
    lines = table.read_text().splitlines() if table.exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or "unknown")


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


@contextmanager
def open_run(
    config: StartConfig,
    folder: RunFolder,
    cache: Path,
    *,
    observer: Callable[[Record], None] = lambda record: None,
    report: Report = lambda number, line: None,
    proposer: Callable[[SearchSpace, Sequence[Tool]], Proposer] | None = None,
    model_answers: bool = False,
) -> Generator[Run]:
    """Opens a new or an old run for writing and closes its sandbox at the end.

    `proposer` makes another one than the catalogue's, with tools over the run's data; a run is resumed with the kind of
    proposer that it began with. `model_answers` says that a language model writes the candidates, so that a sandbox
    without walls is refused.
    """
    from evolve.target_wiring import targeted, tested
    from sandbox.choose import choose
    from search_spaces.space import load

    require_git()
    guard_layout()
    with folder.held(), ExitStack() as held:
        clock = WallClock()
        journal = Journal(folder.journal, clock)
        if journal.records:
            config = resumed(config, journal.records[0])
        lineage = Lineage(folder.lineage)
        space, target = targeted(load(config.space), config, folder, journal, lineage)
        task = yardstick(space, config.dataset, config.world, cache)
        if journal.records:
            require_same(journal.records[0], space, task)
        box = box_for(config, folder, model_answers=model_answers)
        # Forked workers are for the search: what decides a promotion comes from the strongest wall of the machine.
        deciding = choose("auto", workers=config.workers) if box.name == "fork" else box
        try:
            judge = held.enter_context(_judge(config, folder, space, task, box, deciding, report))
            proposes = proposer(space, data_tools(space, task, judge)) if proposer else catalogue(space, config.policy)
            require_proposer(journal.records, proposes)
            desks: list[Desk] = []
            loop = Loop(
                settings=_settings(config),
                started=started_body(config, space, task, box.name, proposes.name, target),
                seed_tree=space.seed,
                gate=space.check,
                guard=known_failure,
                proposer=proposes,
                evaluator=tested(judge, target, deciding),
                lineage=lineage,
                journal=journal,
                clock=clock,
                observer=_opening(desks, observer, auto_approve=config.auto_approve),
            )
            desks.append(Desk(folder.name, loop.archive, lineage, journal, to_target=not folder.is_imported()))
            desks[0].follow(auto_approve=config.auto_approve)
            yield Run(folder=folder, loop=loop, space=space, sandbox=box, judge=judge)
        finally:
            box.close()
            deciding.close()
            journal.close()


@contextmanager
def _judge(
    config: StartConfig,
    folder: RunFolder,
    space: SearchSpace,
    task: Yardstick,
    box: Sandbox,
    deciding: Sandbox,
    report: Report,
) -> Generator[Judge]:
    from evaluations.judge import Judge
    from evaluations.store import Store
    from sandbox.canary import plant

    canaries = plant(folder.path / "canaries")
    with open_walks(space, task, box, config.workers, deciding=deciding, canaries=canaries) as walks:
        yield Judge(space, task, walks, Store(folder.measurements), config.seed, report)


def _settings(config: StartConfig) -> Settings:
    return Settings(
        seed=config.seed,
        workers=config.workers,
        budget=config.budget,
        budget_s=config.budget_s,
        thinking=config.thinking or 0,
    )


def _opening(desks: list[Desk], observer: Callable[[Record], None], *, auto_approve: bool) -> Callable[[Record], None]:
    """An observer that opens a pull request at each promotion, and with `auto_approve` merges it."""

    def observe(record: Record) -> None:
        if record.kind == "confirmed" and record.body["promoted"]:
            desks[0].follow(auto_approve=auto_approve)
        observer(record)

    return observe


def box_for(config: StartConfig, folder: RunFolder, *, model_answers: bool = False) -> Sandbox:
    """The sandbox that a run's candidates get: a model's answers, and an imported run's code, never run in `local`."""
    from sandbox.choose import choose

    return choose(
        config.sandbox,
        workers=config.workers,
        image=config.image,
        runtime=config.runtime,
        gpus=config.gpus,
        model_answers=model_answers or folder.is_imported(),
    )


def resumed(config: StartConfig, first: Record) -> StartConfig:
    """The old run's settings under the new budgets: a resumed run keeps its space, seed and workers."""
    body = first.body
    return StartConfig(
        space=body["space"],
        budget=config.budget,
        budget_s=config.budget_s,
        seed=body["seed"],
        workers=body["workers"],
        sandbox=config.sandbox if config.sandbox != "auto" else body["sandbox"],
        image=config.image,
        runtime=config.runtime,
        gpus=config.gpus,
        runs=config.runs,
        dataset=body["dataset"],
        world=body["world"],
        thinking=body.get("thinking", 0),
        policy=body.get("policy", ""),
        auto_approve=config.auto_approve,
        online=body.get("confirmation") == "experiment",
    )


def require_same(first: Record, space: SearchSpace, task: Yardstick) -> None:
    """Raises RunError where the space or its data are not those that the run began with."""
    for what, now in (("space_digest", space.digest), ("task_digest", task.digest)):
        if first.body[what] != now:
            raise RunError(
                f"the run began with another {what.split('_')[0]} of `{space.name}` "
                f"({first.body[what][:12]}, now {now[:12]})",
                hint="Start a new run, or check out the version of evolve that began this one.",
            )


def require_proposer(records: Sequence[Record], proposer: Proposer) -> None:
    """Raises RunError where a run would go on with another kind of proposer than it began with."""
    if records and records[0].body["proposer"] != proposer.name:
        raise RunError(
            f"the run began with the proposer `{records[0].body['proposer']}`, now `{proposer.name}`",
            hint="Start a new run, or continue this one with its own proposer.",
        )


def read_archive(folder: RunFolder) -> Archive:
    """The state of a run, for reading only; works while another process writes it."""
    lineage = Lineage(folder.lineage)
    lineage.read_ahead()
    archive = Archive(lineage)
    for record in read(folder.journal):
        archive.apply(record)
    if not archive.candidates:
        raise RunError(f"the run {folder.path} has no whole record yet", hint="Start it again with --resume.")
    return archive


def guard_layout() -> None:
    """Raises SetupError where another distribution's `agents` or `sandbox` shadows ours."""
    import agents
    import evolve

    home = Path(evolve.__file__).resolve().parent.parent
    found = Path(agents.__file__ or "").resolve().parent.parent
    if found != home:
        raise SetupError(
            f"`agents` resolves to {found}, not to {home}",
            hint="Another package (openai-agents?) shadows it: use a fresh environment (rm -r .venv; make start).",
        )
