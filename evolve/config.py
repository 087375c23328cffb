"""What a user can choose, checked. Knows defaults and ranges, not how the parts are made."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path

from evolve.errors import UsageError

DEFAULT_SPACE = "video_ranking"
KERNEL_PREFIX = "kernel:"
"""Begins the name of a space of kernels; the operator ends it."""
MOST_THINKING = 16
LEAST_PROMPT_TOKENS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class StartConfig:
    """Everything that `evolve start` can be told."""

    space: str = DEFAULT_SPACE
    budget: int = 50
    budget_s: float | None = None
    seed: int = 0
    workers: int = 0
    """Sessions at once; 0 takes one for each core, at most 8; for kernels one."""
    sandbox: str = "auto"
    image: str = ""
    """A container image with Python, numpy and torch; empty binds this machine's interpreter."""
    runtime: str = ""
    """The container engine's runtime, for example `runsc`."""
    gpus: str = ""
    """The engine's names of the accelerators that sessions may see, one each: `0,1`."""
    runs: Path = Path("runs")
    dataset: str = ""
    """Name of an imported data set for a space that takes one; empty takes the space's own."""
    world: str = "aligned"
    """Family of the generated world (`video_ranking`)."""
    policy: str = ""
    """How a search over kernels chooses what it goes on from: `uct` (also where it is empty) or `greedy`."""
    thinking: int | None = None
    """Proposals that models think of while candidates run; 0: one at a time, and the loop waits for it. None takes
    what suits the model."""
    auto_approve: bool = False
    """Merge each pull request when it is opened: nobody reviews."""
    online: bool = True
    """Whether experiments decide what ships, in a space that has a platform."""
    repository: Path | None = None
    """A git repository of the user's, in which promotions open pull requests too."""
    path: str = ""
    """The folder in it that holds the candidate's tree."""
    tests: str = ""
    """The command that runs the user's tests there, in the sandbox."""

    def checked(self) -> StartConfig:
        """Itself, with workers resolved. Raises UsageError."""
        if self.budget < 1:
            raise UsageError(f"--budget is {self.budget}; it must be at least 1", hint="For example: --budget 50")
        if self.budget_s is not None and self.budget_s <= 0:
            raise UsageError("--budget-time must be positive", hint="For example: --budget-time 10m")
        if self.workers < 0:
            raise UsageError(f"--workers is {self.workers}; it must be 1 or more (0 takes one for each core)")
        if self.thinking is not None and not 0 <= self.thinking <= MOST_THINKING:
            raise UsageError(f"--thinking is {self.thinking}; it must be from 0 to {MOST_THINKING}")
        if self.policy and not self.space.startswith(KERNEL_PREFIX):
            raise UsageError(f"--policy is for kernels, not for {self.space}", hint="--space kernel:OP --policy greedy")
        if self.seed < 0:
            raise UsageError(f"--seed is {self.seed}; it must be 0 or more")
        if (self.repository is None) != (not self.path):
            raise UsageError("--repo and --path go together", hint="For example: --repo ~/ranker --path src/ranker")
        if self.tests and self.repository is None:
            raise UsageError("--tests are those of --repo, which is not given")
        # One kernel is timed at a time, so that more in flight would only be proposed from older outcomes.
        fitting = 1 if self.space.startswith(KERNEL_PREFIX) else min(8, len(os.sched_getaffinity(0)))
        workers = self.workers or fitting
        return replace(self, workers=workers)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """Which language models propose, where they are, and what they may cost."""

    model: str = ""
    """`PROVIDER/NAME`, several as `a=0.7,b=0.3`; `local/FILE`; `scripted/FILE`; `replay/RUN`; empty: the catalogue."""
    api_base: str = ""
    """An OpenAI-compatible endpoint."""
    price: str = ""
    """`PROMPT,ANSWER` in US dollars a million tokens, where the price list has none."""
    budget_usd: float | None = None
    budget_tokens: int | None = None
    prompt_tokens: int = 0
    """The longest prompt, by our estimate; 0 takes what suits the model."""
    answer_tokens: int = 0

    def checked(self) -> ModelConfig:
        """Itself. Raises UsageError."""
        for flag, value in (("--budget-usd", self.budget_usd), ("--budget-tokens", self.budget_tokens)):
            if value is not None and value <= 0:
                raise UsageError(f"{flag} is {value}; it must be above 0")
        if self.prompt_tokens and self.prompt_tokens < LEAST_PROMPT_TOKENS:
            raise UsageError(f"--prompt-tokens is {self.prompt_tokens}; it must be {LEAST_PROMPT_TOKENS} or more")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class OnlineConfig:
    """How experiments are run. The defaults are those of `evolve start`: small enough for a laptop's minutes."""

    platform: str = ""
    """Address of an A/B service; empty takes the simulated production."""
    users: int = 4000
    """Of the simulated production; its log knows half of them."""
    days: int = 120
    """Days that are lived in all."""
    top: int = 3
    """Challengers that get an experiment."""
    slots: int = 2
    """Experiments that enrol at the same time."""
    stages: tuple[tuple[int, float], ...] = ((0, 0.05), (1, 0.2), (3, 0.5))
    enrol: int = 14
    mature: int = 58
    warm_up: int = 14
    holdback: float = 0.1
    level: float = 0.05
    """False promotions among all, at most, in expectation over the season."""
    tests: int = 10
    """Experiments of the season, among which the level is shared out."""

    def checked(self) -> OnlineConfig:
        """Itself. Raises UsageError."""
        for flag, value in (("--days", self.days), ("--top", self.top), ("--slots", self.slots)):
            if value < 1:
                raise UsageError(f"{flag} is {value}; it must be at least 1")
        if self.users < 2000:
            raise UsageError(f"--users is {self.users}; the log of the world knows 2000, and there can't be fewer")
        return self


_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}


def seconds(text: str) -> float:
    """`90`, `90s`, `10m` or `1.5h` in seconds. Raises UsageError."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text.strip())
    if not found:
        raise UsageError(f"`{text}` is not a time", hint="Write it as 90s, 10m or 1.5h.")
    return float(found[1]) * _UNITS[found[2]]


def cache_folder() -> Path:
    """Where data sets and worlds are kept: $EVOLVE_CACHE, $XDG_CACHE_HOME/evolve or ~/.cache/evolve."""
    if chosen := os.environ.get("EVOLVE_CACHE"):
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "evolve"
