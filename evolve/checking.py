"""Where a run is measured anew: the parts of a run, with a store of their own and no loop."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evolve.archive import Archive
from evolve.config import StartConfig
from evolve.errors import RunError
from evolve.measuring import open_walks, yardstick
from evolve.replay.verify import differences
from evolve.run_folder import RunFolder
from evolve.wiring import Report, box_for, versions

if TYPE_CHECKING:
    from evolve.contracts import Evaluator


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What measures a run anew, and what differs here from where the run was made (name -> `recorded -> now`)."""

    evaluator: Evaluator
    sandbox: str
    elsewhere: Mapping[str, str]


@contextmanager
def open_verification(
    config: StartConfig, folder: RunFolder, archive: Archive, cache: Path, report: Report
) -> Generator[Verification]:
    """Opens a judge over an empty store beside the run's own, which it never reads.

    An interrupted verification leaves its store; the next one under the same versions goes on from it, and takes it
    away when it ends. The sandbox is `config`'s and never the one that the journal names: the journal may be a
    stranger's. Raises RunError where the labels are not those of the run.
    """
    from evaluations.judge import Judge
    from evaluations.store import Store
    from sandbox.canary import plant
    from search_spaces.space import load, with_seed

    settings, here = archive.settings, versions()
    space = load(settings["space"])
    if settings.get("target"):
        space = with_seed(space, archive.seed.tree)
    task = yardstick(space, settings["dataset"], settings["world"], cache)
    if task.digest != settings["task_digest"]:
        raise RunError(
            f"the run was judged by the labels {settings['task_digest'][:12]}, here are {task.digest[:12]}",
            hint="Import the run's data set, or check out the version of evolve that made the run.",
        )
    box = box_for(config, folder)
    recorded = {**settings["versions"], "sandbox": settings["sandbox"], "space": settings["space_digest"][:12]}
    if space.confirmation == "fresh_remeasure":  # no clock ever says the same twice
        recorded["timing"] = "then"
        here = {**here, "timing": "now"}
    now = {**here, "sandbox": box.name, "space": space.digest[:12]}
    scratch = RunFolder(folder.path / "verification")
    scratch.path.mkdir(exist_ok=True)
    name = hashlib.sha256(json.dumps(now, sort_keys=True).encode()).hexdigest()[:12]
    try:
        canaries = plant(scratch.path / "canaries")
        with scratch.held(), open_walks(space, task, box, config.workers, canaries=canaries) as walks:
            judge = Judge(space, task, walks, Store(scratch.path / name), settings["seed"], report)
            yield Verification(evaluator=judge, sandbox=box.name, elsewhere=differences(recorded, now))
            shutil.rmtree(scratch.path)
    finally:
        box.close()
