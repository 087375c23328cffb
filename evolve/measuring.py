"""What a space is measured by, and what takes its candidates up the rungs: labels and sessions, or kernels and clocks.

Makes no decision of its own.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

from evolve.config import KERNEL_PREFIX
from evolve.errors import UsageError

if TYPE_CHECKING:
    from evaluations.judge import Judge
    from evaluations.sessions import Walks
    from evaluations.task import Task, Yardstick
    from evolve.contracts import Sandbox, SearchSpace, Tool


def load_task(space: str, dataset: str, world: str, cache: Path) -> Task:
    """The labels and metrics of a space. Raises UsageError for a space that has none."""
    if space == "video_ranking":
        from evaluations.video_ranking import VideoRanking
        from evaluations.world import Family, WorldConfig

        if world not in {family.value for family in Family}:
            raise UsageError(
                f"there is no world of the family `{world}`",
                hint=f"Families: {', '.join(family for family in Family)}.",
            )
        return VideoRanking(cache / "worlds", WorldConfig(family=Family(world)))
    if space == "next_item":
        from evaluations.datasets_store import load
        from evaluations.next_item import NextItem

        return NextItem(load(dataset or "ml-100k", cache / "data"), cache / "next_item")
    raise UsageError(f"the space `{space}` has no task", hint="`evolve spaces` lists those that can be run.")


def yardstick(space: SearchSpace, dataset: str, world: str, cache: Path) -> Yardstick:
    """What the space is measured by. Raises UsageError."""
    if not space.name.startswith(KERNEL_PREFIX):
        return load_task(space.name, dataset, world, cache)
    from evaluations.kernels.task import KernelTask
    from search_spaces.kernel_space import KernelSpace

    return KernelTask(cast("KernelSpace", space))


def data_tools(space: SearchSpace, measured_by: Yardstick, judge: Judge) -> tuple[Tool, ...]:
    """What a model may ask of the training split and of what was measured: never of a split that is held out."""
    if space.name.startswith(KERNEL_PREFIX):
        return ()
    from evaluations.tools import evaluate_reward
    from evaluations.tools.profile import Profile
    from evaluations.tools.query_data import QueryData

    folder = cast("Task", measured_by).training_folder(final=False)
    tools: tuple[Tool, ...] = (QueryData.of(folder), Profile(space=space, walk_of=judge.known))
    return (*tools, evaluate_reward.EvaluateReward(folder=folder)) if evaluate_reward.fits(folder) else tools


@contextmanager
def open_walks(
    space: SearchSpace,
    measured_by: Yardstick,
    box: Sandbox,
    workers: int,
    *,
    deciding: Sandbox | None = None,
    canaries: tuple[bytes, ...] = (),
) -> Generator[Walks]:
    """What runs candidates, with what it holds open; `deciding` is the sandbox for all but the search."""
    if not space.name.startswith(KERNEL_PREFIX):
        from evaluations.sessions import Sessions

        task = cast("Task", measured_by)
        yield Sessions(space, task, box, workers, deciding=deciding, canaries=canaries)
        return
    from evaluations.kernels.sessions import KernelSessions
    from evaluations.kernels.task import KernelTask
    from sandbox.local import LocalSandbox
    from search_spaces.kernel_space import KernelSpace

    trusted = LocalSandbox()
    kernels = KernelSessions(cast("KernelSpace", space), box, trusted=trusted, deciding=deciding, canaries=canaries)
    cast("KernelTask", measured_by).baselines = lambda: kernels.baselines.seconds
    try:
        yield kernels
    finally:
        kernels.close()
        trusted.close()
