"""What a model may ask of a run's data: made here, where the data are known, and handed to whoever proposes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evaluations.judge import Judge
    from evaluations.task import Task
    from evolve.contracts import SearchSpace, Tool


def data_tools(space: SearchSpace, task: Task, judge: Judge) -> tuple[Tool, ...]:
    """Tools over the training split and over what was measured: never over a split that is held out."""
    from evaluations.tools import evaluate_reward
    from evaluations.tools.profile import Profile
    from evaluations.tools.query_data import QueryData

    folder = task.training_folder(final=False)
    tools: list[Tool] = [Profile(space=space, walk_of=judge.known)]
    if any(folder.glob("*.npy")):
        tools.append(QueryData.of(folder))
    if evaluate_reward.fits(folder):
        tools.append(evaluate_reward.EvaluateReward(folder=folder))
    return tuple(tools)
