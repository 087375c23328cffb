"""The tool `evaluate_reward`: how well a target ranks what users do later, before any model is trained on it.

A loss-independent surrogate. The mean of the proposed target over the earlier days of the training split, by item, by
user and topic, and by user and creator, stands in for a model that learned it perfectly from so little; it ranks each
user's impressions of the later days of the same split, and what is counted is what happened there. So two targets with
different losses can be compared. Runs no candidate's code and holds nothing but the training split.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluations.ranking_metrics import auc_by_user, ranks_within
from evaluations.tools.formula import FUNCTIONS, evaluate
from evaluations.tools.training import read_columns
from evolve.contracts import Floats, History
from evolve.errors import UsageError

LABELS = ("click", "watch_s", "duration_s", "long_watch", "like", "share", "skip", "returned", "returned_known")
PLACE = ("position", "propensity")
PAST = {name: f"user_{name.removeprefix('past_')}" for name in ("past_clicks", "past_long_watches", "past_likes")}
"""What a target may also read of what the user did before, and the column that tells it."""
LATER = 1 / 3
"""The share of the days that are ranked; the days before them are learned from."""
PRIOR_ROWS = 10.0
"""A group's mean is drawn to the mean of all as if it had so many more rows."""
REFERENCE = "click"

Groups = tuple[NDArray[np.int64], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One target's figures: per outcome one number per user (NaN where undefined)."""

    auc: Mapping[str, Floats]


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """The training split, cut by day; every array has one row an impression."""

    columns: Mapping[str, Floats]
    groups: Groups
    early: NDArray[np.bool_]
    owner: NDArray[np.int64]
    outcomes: Mapping[str, tuple[NDArray[np.bool_], NDArray[np.bool_]]]
    """Of the later rows: what happened, and for which rows that is known."""

    @classmethod
    def of(cls, folder: Path) -> Split:
        """Reads the training folder of the search."""
        raw: Mapping[str, Any] = read_columns(folder)
        day = np.asarray(raw["day"], dtype=np.int64)
        cut = day.max() + 1 - round((day.max() + 1 - day.min()) * LATER)
        early = day < cut
        columns = {name: np.asarray(raw[name], dtype=np.float64) for name in (*LABELS, *PLACE)}
        columns |= {name: np.asarray(raw[of], dtype=np.float64) for name, of in PAST.items() if of in raw}
        columns["watch_share"] = np.clip(columns["watch_s"] / columns["duration_s"], 0.0, 1.0)
        user, item = (np.asarray(raw[name], dtype=np.int64) for name in ("user", "item"))
        pairs = [user * (int(raw[name].max()) + 1) + raw[name] for name in ("topic", "creator")]
        late = ~early
        everywhere = np.ones(int(late.sum()), dtype=bool)
        outcomes = {name: (columns[name][late] > 0, everywhere) for name in ("long_watch", "like")}
        outcomes["returned"] = (columns["returned"][late] > 0, columns["returned_known"][late] > 0)
        owner = np.unique(user[late], return_inverse=True)[1].astype(np.int64)
        groups = tuple(np.unique(key, return_inverse=True)[1].astype(np.int64) for key in (item, *pairs))
        return cls(columns=columns, groups=groups, early=early, owner=owner, outcomes=outcomes)

    def figures(self, target: Floats, weight: Floats) -> Found:
        """How well the earlier means of a target rank the later impressions of each user."""
        score = sum(self._means(group, target, weight) for group in self.groups)
        assert isinstance(score, np.ndarray)
        users = int(self.owner.max()) + 1
        found: dict[str, Floats] = {}
        for name, (happened, known) in self.outcomes.items():
            ranks = ranks_within(self.owner[known], score[known])
            found[name] = auc_by_user(self.owner[known], users, ranks, happened[known])
        return Found(auc=found)

    def _means(self, group: NDArray[np.int64], target: Floats, weight: Floats) -> Floats:
        """The shrunken mean of the early target of each later row's group, less the mean of all."""
        early, size = self.early, int(group.max()) + 1
        total = np.bincount(group[early], (target * weight)[early], minlength=size)
        rows = np.bincount(group[early], weight[early], minlength=size)
        everybody = total.sum() / max(rows.sum(), 1e-12)
        means = (total + PRIOR_ROWS * everybody) / (rows + PRIOR_ROWS) - everybody
        return means[group[~early]]


def fits(folder: Path) -> bool:
    """Whether a training folder has what a target is made of."""
    return all((folder / f"{name}.npy").is_file() for name in (*LABELS, *PLACE, "day", "topic", "creator"))


@dataclass(slots=True, kw_only=True)
class EvaluateReward:
    """Implements `contracts.Tool`. `folder` is the training folder of the search; it is read at the first use."""

    folder: Path
    name: str = "evaluate_reward"
    _split: Split | None = field(default=None, repr=False)

    @property
    def usage(self) -> str:
        """One line."""
        return (
            f"reward (a formula over {', '.join((*LABELS, 'watch_share', *PLACE, *PAST))} with + - * / ** < > and "
            f"{', '.join(FUNCTIONS)}), optionally weight (another): how well the target's means of earlier days rank "
            "later long watches, likes and returns of the training split, against `click`; no model is trained"
        )

    def use(self, history: History, arguments: Mapping[str, str]) -> str:
        """The figures, or what is wrong with the formula."""
        split = self._split = self._split or Split.of(self.folder)
        try:
            target = evaluate(arguments.get("reward", ""), split.columns)
            weight = evaluate(arguments.get("weight") or "1.0", split.columns)
        except UsageError as error:
            return error.message
        if weight.min() < 0 or weight[split.early].max() <= 0:
            return "the weight must be zero or more on every row, and above zero on some"
        reference = split.figures(split.columns[REFERENCE], np.ones(len(target)))
        return _text(split.figures(target, weight), reference, target)


def _text(found: Found, reference: Found, target: Floats) -> str:
    lines = [
        "Mean over users of the AUC of a later outcome, ranked by earlier means of the target (.5 is chance):",
        *(_line(name, values, reference.auc[name]) for name, values in found.auc.items()),
        f"The target's mean is {target.mean():.4f}, its standard deviation {target.std():.4f}.",
        "A surrogate on the training split: it orders ideas and proves none.",
    ]
    return "\n".join(lines)


def _line(name: str, values: Floats, reference: Floats) -> str:
    gap = (values - reference)[np.isfinite(values - reference)]
    if not len(gap):
        return f"- {name}: undefined for every user"
    error = gap.std(ddof=1) / np.sqrt(len(gap)) if len(gap) > 1 else float("nan")
    return f"- {name}: {np.nanmean(values):.4f}, against `{REFERENCE}` {gap.mean():+.4f} (standard error {error:.4f})"
