"""Where the outer loop's parts meet: a run's archive and journal, the online agent, its statistics and its platform."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evolve import measuring, wiring
from evolve.archive import Archive
from evolve.campaign import OUTER, candidate_of
from evolve.config import OnlineConfig, StartConfig
from evolve.contracts import Platform
from evolve.errors import UsageError
from evolve.journal import Journal, Record
from evolve.lineage import Lineage
from evolve.outer_loop import Observer, OuterLoop, Reorder, plan
from evolve.review.desk import Desk as Reviews
from evolve.run_folder import RunFolder

if TYPE_CHECKING:
    from agents.online import OnlineAgent
    from agents.online_state import OnlineSettings
    from evaluations.platform import SimulatedPlatform
    from evaluations.production import Ranker
    from evaluations.sandboxed_model import Fits, SandboxedModel

MOST_DAYS = 1_000
"""Days for which a simulated production has room for new items."""


@contextmanager
def open_online(
    folder: RunFolder,
    cache: Path,
    config: OnlineConfig,
    *,
    observer: Observer = lambda record: None,
    sandbox: str = "auto",
    workers: int = 0,
    auto_approve: bool = False,
    reorder: Reorder | None = None,
) -> Generator[tuple[OuterLoop, OnlineAgent]]:
    """Opens the outer loop of a run that has a journal, new or in the middle of experiments. Raises UsageError where
    its space has no platform. `reorder` is a model's word on who is tried first."""
    from agents.online import KINDS, OnlineAgent
    from evaluations.experiments.budget import Season
    from evaluations.experiments.desk import Desk
    from evaluations.experiments.shrinkage import vague

    with ExitStack() as stack:
        stack.enter_context(folder.held("online."))
        journal = Journal(folder.journal, wiring.WallClock())
        stack.callback(journal.close)
        lineage = Lineage(folder.lineage)
        archive = Archive(lineage)
        reviews = Reviews(folder.name, archive, lineage, journal, to_target=not folder.is_imported())
        told = [record for record in journal.records if record.kind in OUTER]
        config = resumed(config, told)
        outer = OuterLoop(
            archive=archive, journal=journal, lineage=lineage, reviews=reviews, config=config, observer=observer,
            auto_approve=auto_approve, reorder=reorder,
        )  # fmt: skip
        if not archive.candidates:
            raise UsageError(f"the run {folder.path} has no candidate yet", hint="Wait for its first record.")
        platform = _platform(folder, cache, config, archive, sandbox, workers, stack)
        if not archive.campaign:
            outer.write("online_started", {**started_body(config), "champion": "0"})
        agent = OnlineAgent(
            platform=platform,
            experimenter=Desk(Season(level=config.level, tests=config.tests), plan(config), vague(widest=0.6, sd=0.1)),
            champion=archive.campaign.settings["champion"],
            settings=settings_of(config),
            write=outer.write,
            rank=outer.rank,
        )
        for record in told:
            if record.kind in KINDS:
                agent.apply(record.kind, record.body)
        outer.follow()
        yield outer, agent


def settings_of(config: OnlineConfig) -> OnlineSettings:
    """The agent's part of the settings."""
    from agents.online_state import OnlineSettings

    names = ("slots", "stages", "enrol", "mature", "tests", "holdback", "warm_up")
    return OnlineSettings(**{name: getattr(config, name) for name in names})


def started_body(config: OnlineConfig) -> dict[str, Any]:
    """What a campaign was started with; another address of the same platform is no other campaign."""
    body = json.loads(json.dumps(asdict(config)))
    return {**body, "platform": "http" if config.platform else "simulated"}


def resumed(config: OnlineConfig, told: list[Record]) -> OnlineConfig:
    """The settings that the campaign began with; only how long it lasts, how many are tried, and where the platform is
    may change."""
    first = next((record.body for record in told if record.kind == "online_started"), None)
    if first is None:
        return config.checked()
    if (first["platform"] == "http") != bool(config.platform):
        raise UsageError(
            f"the experiments of this run are on the {first['platform']} platform",
            hint="Give --platform ADDRESS for an A/B service, nothing for the simulated production.",
        )
    names = ("users", "slots", "enrol", "mature", "warm_up", "holdback", "level", "tests")
    kept = {name: first[name] for name in names}
    stages = tuple((int(day), float(share)) for day, share in first["stages"])
    return replace(config, **kept, stages=stages).checked()


def _platform(
    folder: RunFolder,
    cache: Path,
    config: OnlineConfig,
    archive: Archive,
    sandbox: str,
    workers: int,
    stack: ExitStack,
) -> Platform:
    if config.platform:
        from evaluations.platform_http import HttpPlatform

        return HttpPlatform(config.platform)
    return simulated(folder, cache, config, archive, sandbox, workers, stack)


def simulated(
    folder: RunFolder,
    cache: Path,
    config: OnlineConfig,
    archive: Archive,
    sandbox: str,
    workers: int,
    stack: ExitStack,
) -> SimulatedPlatform:
    """The generated world of the run after its log, with every candidate of the run as a policy at hand."""
    from evaluations.platform import SimulatedPlatform
    from evaluations.production import Production
    from evaluations.production_log import ProductionLog
    from evaluations.sandboxed_model import Fits
    from evaluations.video_ranking import VideoRanking
    from sandbox.canary import plant
    from sandbox.choose import choose
    from search_spaces.space import load

    first = archive.settings
    space, task = load(first["space"]), measuring.load_task(first["space"], first["dataset"], first["world"], cache)
    if space.confirmation != "experiment" or not isinstance(task, VideoRanking):
        raise UsageError(
            f"the space `{space.name}` has no simulated production",
            hint="Give --platform ADDRESS of an A/B service (docs/platform.openapi.yaml).",
        )
    wanted = StartConfig(space=space.name, sandbox=sandbox, workers=workers or int(first["workers"])).checked()
    box = wiring.box_for(wanted, folder, model_answers=first["proposer"] != "catalog")
    if box.name == "fork":  # what decides a promotion comes from the strongest wall of the machine
        box.close()
        box = choose("auto", workers=wanted.workers)
    stack.callback(box.close)
    production = Production(task.log.config, config.users)
    production.workers = wanted.workers
    # Days may be added by a later command, and the size of a candidate's tables must not change by it.
    log = ProductionLog(production, task.log, len(task.log.items["born"]) + MOST_DAYS * task.log.config.items_per_day)
    data = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="production-", dir=cache)))
    data.chmod(0o755)
    canaries = plant(folder.path / "canaries")
    fits = Fits(space=space, sandbox=box, log=log, folder=data, seed=int(first["seed"]), canaries=canaries)
    return SimulatedPlatform(production, Models(archive, fits, stack), "0")


class Models(Mapping[str, "Ranker"]):
    """Every candidate of a run as a policy, by its arm's name; a twin is the very same policy."""

    def __init__(self, archive: Archive, fits: Fits, stack: ExitStack) -> None:
        self._archive, self._fits, self._stack = archive, fits, stack
        self._made: dict[int, SandboxedModel] = {}

    def __getitem__(self, arm: str) -> SandboxedModel:
        from evaluations.sandboxed_model import SandboxedModel

        number = candidate_of(arm)
        if number not in self._made:
            if not 0 <= number < len(self._archive.candidates):
                raise KeyError(arm)
            tree = self._archive.candidates[number].tree
            self._made[number] = SandboxedModel(str(number), tree, self._fits)
            self._stack.callback(self._made[number].close)
        return self._made[number]

    def __iter__(self) -> Iterator[str]:
        return (str(candidate.number) for candidate in self._archive.candidates)

    def __len__(self) -> int:
        return len(self._archive.candidates)
