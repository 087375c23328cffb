"""Every word that crosses a seam: the values that parts exchange and the Protocols they meet at.

Knows nothing of git, files, processes, statistics or models. All values are frozen; the outcome of
a candidate is a closed union; a failure has no score.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
else:
    Floats = Any  # numpy takes longer to import than a command that looks something up takes in all

Tree = Mapping[str, str]
"""The candidate's files: POSIX path relative to the tree's root -> text."""

TunableValue = int | float | str


class Persona(StrEnum):
    """A proposer's speciality."""

    OPTIMIZER = "optimizer"
    ARCHITECTURE = "architecture"
    REWARD = "reward"
    KERNEL = "kernel"


class Move(StrEnum):
    """Why a proposal was made; each has a quota of its own."""

    EXPLORE = "explore"
    EXPLOIT = "exploit"
    INNOVATE = "innovate"


# --- what is tried ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Observable:
    """What a proposal says will move, and how. `present` asks only for a finite, non-zero value."""

    name: str
    direction: Literal["up", "down", "present"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A hypothesis and the change that tests it.

    `files` holds the new text of every file that differs from the first parent's tree. Two parents
    make a combination. `technique` names the card, or the move's own name (`tune`, `combine`).
    """

    parents: tuple[str, ...]
    files: Tree
    hypothesis: str
    mechanism: str
    observable: Observable | None
    persona: Persona
    move: Move
    technique: str
    proposer: str
    tokens: int = 0
    cost_usd: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One version of the tree: one commit in the run's lineage. Number 0 is the seed."""

    number: int
    commit: str
    parents: tuple[str, ...]
    tree: Tree
    fingerprint: str


# --- what is measured ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a sandbox saw of one session from outside; nothing here was said by the candidate."""

    sandbox: str
    exit_reason: str
    cpu_s: float
    wall_s: float
    peak_memory_bytes: int
    stderr_tail: str = ""
    versions: Mapping[str, str] = field(default_factory=dict[str, str])
    """Of what decides bits and walls: interpreter, torch, image digest, hash of the system-call filter, limits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One trained model on one split: one number per user for each metric.

    `users` has shape (n,); every array of `metrics` has shape (n,) and is NaN for a user for whom
    the metric is undefined. `observables` are the candidate's claims; `compute_s` is how long the host
    waited for training and predictions since the session's start, on its own clock, `train_s` for training alone.
    """

    rung: str
    seed: int
    split: str
    users: NDArray[np.int64]
    metrics: Mapping[str, Floats]
    observables: Mapping[str, float]
    compute_s: float
    train_s: float = 0.0

    def mean(self, metric: str) -> float:
        """The mean over the users for whom the metric is defined."""
        import numpy as np

        return float(np.nanmean(self.metrics[metric]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the statistics say of a challenger against a reference on one metric.

    `effect` is the mean over users and seeds of the paired difference, in the metric's own unit;
    [`low`, `high`] is its interval at confidence 1 - `alpha`; `p` is the one-sided p-value of "not
    better"; `users` is the number of users in the pairing.
    """

    decision: Literal["better", "worse", "undecided"]
    metric: str
    effect: float
    low: float
    high: float
    p: float
    alpha: float
    users: int
    seeds: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseFloor:
    """How far two equal programs differ: the smallest effect that a space lets anybody see.

    `seed_sd` is the standard deviation of the metric over training seeds; `minimum_effect` is the
    effect below which no verdict is given. `score` and `short_score` are the seed candidate's means.
    """

    metric: str
    score: float
    short_score: float
    seed_sd: float
    paired_se: float
    minimum_effect: float
    seeds: int
    cpu_s: float


# --- what came of it -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """The candidate ran. `score` is its mean primary metric at `rung`; `gain` its effect against the
    seed candidate at the same rung and seeds; `verdict` compares it with the reference it was judged
    against (the leader when it was proposed: the best that the search had replicated)."""

    rung: str
    score: float
    gain: float
    standard_error: float
    seeds: int
    metrics: Mapping[str, float]
    observables: Mapping[str, float]
    verdict: Verdict | None
    promising: bool
    cpu_s: float
    evidence: Evidence | None = None
    kind: Literal["scored"] = "scored"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A gate refused the candidate before anything ran; it cost nothing."""

    gate: str
    reason: str
    kind: Literal["rejected"] = "rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The candidate broke: it raised, exited, answered nonsense or exceeded a limit of memory or size."""

    rung: str
    reason: str
    detail: str
    cpu_s: float
    evidence: Evidence | None = None
    kind: Literal["failed"] = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedOut:
    """The candidate did not answer within the rung's limit and was killed."""

    rung: str
    reason: str
    limit_s: float
    cpu_s: float
    evidence: Evidence | None = None
    kind: Literal["timed_out"] = "timed_out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cheated:
    """The candidate was caught reaching for what it must not have."""

    rung: str
    reason: str
    detail: str
    cpu_s: float
    evidence: Evidence | None = None
    kind: Literal["cheated"] = "cheated"


Outcome = Scored | Rejected | Failed | TimedOut | Cheated


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One finished row of the archive."""

    candidate: Candidate
    proposal: Proposal
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A candidate that is committed and not yet judged."""

    candidate: Candidate
    proposal: Proposal


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What a proposer may see when it makes proposal number `number`.

    `attempts` are the finished attempts, in order; `pending` are candidates proposed but not yet
    judged; `seed` and `champion` are always there. `tried` says whether an equal tree was ever
    proposed. `rejections` says of a candidate, by its number, why a person rejected its pull request. `experiments`
    are lines of what experiments on people taught: which candidates helped, and which proxies mislead. `refused` are
    the static gate's reasons for refusing proposals, in order.
    """

    number: int
    seed: Candidate
    champion: Candidate
    floor: NoiseFloor
    attempts: Sequence[Attempt]
    pending: Sequence[Waiting]
    tried: Callable[[Tree], bool]
    rejections: Mapping[int, str] = field(default_factory=dict[int, str])
    experiments: Sequence[str] = ()
    refused: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalResult:
    """The one look at the test labels: the champion after its final fit, the seed and the floors.

    `rows` maps a name (`champion`, `champion in the run`, `seed`, `EASE`, ...) to its metrics' means;
    `verdict` compares the champion's final fit with the seed's.
    """

    metric: str
    rows: Mapping[str, Mapping[str, float]]
    verdict: Verdict
    cpu_s: float


# --- search spaces ---------------------------------------------------------------------------

Confirmation = Literal["held_out_split", "experiment", "fresh_remeasure"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Kill limits of one sandboxed session; never a budget."""

    memory_bytes: int = 3 << 30
    cpu_s: int = 600
    processes: int = 64
    file_bytes: int = 256 << 20
    open_files: int = 1024
    start_s: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One fidelity of the funnel. `examples` is the training budget (examples seen since the start),
    `limit_s` the kill limit for one answer, `seeds` how many training seeds it asks for, `memory_bytes` the kill
    limit of its memory (None: the space's)."""

    name: str
    examples: int
    limit_s: float
    seeds: int = 1
    memory_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """One structural edit of a technique: what to do to `anchor` in `path`.

    `replace` puts `code` in place of the top-level function, class, constant or `Class.method` named
    by `anchor`; `before` and `after` insert `code` beside it; `import` adds import lines.
    """

    path: str
    action: Literal["replace", "before", "after", "import"]
    anchor: str
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Technique:
    """A catalogue card: a named idea with its paper, where it applies and its edit."""

    name: str
    title: str
    persona: Persona
    paper: str
    hypothesis: str
    mechanism: str
    observable: Observable | None
    edits: tuple[Edit, ...]
    requires: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()


class SearchSpace(Protocol):
    """What may change, from which seed, and what must still hold. Plain data plus one check."""

    @property
    def name(self) -> str: ...
    @property
    def summary(self) -> str: ...
    @property
    def metric(self) -> str:
        """The primary proxy metric; greater is better."""
        ...

    @property
    def metrics(self) -> tuple[str, ...]: ...
    @property
    def seed(self) -> Tree: ...
    @property
    def editable(self) -> tuple[str, ...]: ...
    @property
    def harness(self) -> Tree:
        """Files staged beside the candidate; `harness.py` is the entry."""
        ...

    @property
    def rungs(self) -> tuple[Rung, ...]:
        """In order: smoke, short, full, replicated."""
        ...

    @property
    def final(self) -> Rung: ...
    @property
    def limits(self) -> Limits: ...
    @property
    def confirmation(self) -> Confirmation: ...
    @property
    def confirmation_seeds(self) -> int: ...
    @property
    def floor_seeds(self) -> int: ...
    @property
    def techniques(self) -> tuple[Technique, ...]: ...
    @property
    def digest(self) -> str:
        """sha256 over everything above: a run can be continued only with the space it began with."""
        ...

    def check(self, tree: Tree) -> str | None:
        """Why the static gate refuses the tree, or None."""
        ...


# --- the sandbox -----------------------------------------------------------------------------


class FaultKind(StrEnum):
    """Why a session ended without what was asked for; always the candidate's doing."""

    TIMED_OUT = "timed_out"
    EXITED = "exited"
    OUT_OF_MEMORY = "out_of_memory"
    PROTOCOL = "protocol"
    RAISED = "raised"
    CAUGHT = "caught"
    WRONG = "wrong"
    NOT_TIMED = "not_timed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """The candidate's fault, as a value."""

    kind: FaultKind
    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is staged for one session: source files, and a folder of arrays to read."""

    files: Tree
    data: Path
    config: Mapping[str, Any]
    limits: Limits
    canaries: tuple[bytes, ...] = ()
    """Secrets that nothing inside can know; whoever shows one has reached for what it must not have."""
    tools: bool = False
    """Whether a compiler is bound read-only into the sandbox; for sessions that `build`."""
    binaries: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    """Shared objects to be loaded inside; the config's `binaries` holds the path of each by its name."""


class Session(Protocol):
    """One candidate in one sandbox, spoken to in frames. Every method may raise SandboxError (ours)."""

    def limit_memory(self, memory_bytes: int) -> None:
        """Holds the tree to this much from now on, at most to the job's limits; those alone hold without a group."""
        ...

    def train(self, examples: int, limit_s: float) -> Mapping[str, float] | Fault:
        """Trains until `examples` have been seen in all; returns the claimed observables."""
        ...

    def predict(
        self, queries: Mapping[str, NDArray[Any]], shape: tuple[int, ...], limit_s: float
    ) -> NDArray[np.float32] | Fault:
        """Answers unlabelled queries; the answer is finite float32 of exactly `shape`, or a Fault."""
        ...

    def build(self, limit_s: float) -> bytes | Fault:
        """What a compiling harness has built: hostile bytes, for another sandbox alone."""
        ...

    def close(self) -> Evidence:
        """Kills everything that is left and says what was seen from outside; may be called twice."""
        ...


class Sandbox(Protocol):
    """Runs candidates under limits, and says whose fault a failure was."""

    @property
    def name(self) -> str: ...
    @property
    def does_not_stop(self) -> str:
        """In one line, what this sandbox does not stop; empty where it stops all that the threat model names."""
        ...

    @property
    def for_model_answers(self) -> bool:
        """Whether code written by a model may run in it."""
        ...

    def open(self, job: Job) -> AbstractContextManager[Session]:
        """Starts a session; the context's end closes it. Raises SandboxError."""
        ...

    def close(self) -> None: ...


class Tool(Protocol):
    """Something a model may ask for while it thinks. It answers in text and changes nothing."""

    @property
    def name(self) -> str: ...
    @property
    def usage(self) -> str:
        """Its arguments and what comes back, in a line for the prompt."""
        ...

    def use(self, history: History, arguments: Mapping[str, str]) -> str: ...


# --- the two loops ---------------------------------------------------------------------------


class Proposer(Protocol):
    """Turns history into the next proposal."""

    @property
    def name(self) -> str: ...

    def propose(self, history: History, seed: int) -> Proposal | None:
        """The next proposal, or None when nothing is left to try. Depends on its arguments alone."""
        ...


class Evaluator(Protocol):
    """Turns candidates into outcomes; holds labels and statistics. Results depend on its arguments alone."""

    def measure_floor(self, seed: Candidate) -> NoiseFloor: ...

    def resume_from(self, seed: Candidate, floor: NoiseFloor) -> None:
        """Takes a floor that was measured before, in place of `measure_floor`."""
        ...

    def judge(self, candidate: Candidate, reference: Candidate, observable: Observable | None) -> Outcome:
        """Runs the funnel. `reference` is the leader when the candidate was proposed."""
        ...

    def confirm(self, challenger: Candidate, champion: Candidate, alpha: float) -> Verdict:
        """Compares on the split that the search never saw, under seeds it never used."""
        ...

    def final(self, champion: Candidate, seed: Candidate) -> FinalResult:
        """One final fit of each, and the only look at the test labels."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortReport:
    """One metric of the users of one arm who were first exposed on day `entered`, when their window is over.

    `users` were exposed; the sums run over all of them: `n` (users with a value), `y`, `yy`, and with the covariate
    from before the experiment `x`, `xx` and `xy`. The metric `exposures` has no values, only `users`.
    """

    experiment: str
    arm: str
    entered: int
    metric: str
    users: int
    n: float = 0.0
    y: float = 0.0
    yy: float = 0.0
    x: float = 0.0
    xx: float = 0.0
    xy: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Believed:
    """A challenger that waits: what it is, what is believed of its gain (normal), and why it has its place."""

    arm: str
    idea: str
    mean: float
    sd: float
    reason: str


class Platform(Protocol):
    """Where experiments run: the simulated world or a user's A/B service. Days are the platform's own.

    What is called on day d holds from day d + 1 on. Calling twice is the same as calling once.
    """

    def launch(self, experiment: str, arms: Mapping[str, float], traffic: float) -> None:
        """Starts an experiment: its arms' shares of its users (they sum to 1), and its share of free users."""
        ...

    def ramp(self, experiment: str, traffic: float) -> None:
        """Another share of free users; 0 ends the enrolment, and who has entered stays."""
        ...

    def observe(self, day: int) -> Sequence[CohortReport]:
        """What was reported on `day`; a report may come late, again or out of order, and must be judged as such."""
        ...

    def stop(self, experiment: str) -> None:
        """Rolls back: all its users return to the champion, and what was not complete is never reported."""
        ...

    def promote(self, arm: str) -> None:
        """Makes an arm the champion for everybody who is in no other experiment."""
        ...


class Action(StrEnum):
    """What becomes of an experiment today."""

    PROMOTE = "promote"
    EXTEND = "extend"
    DROP = "drop"
    ROLL_BACK = "roll back"
    QUARANTINE = "quarantine"
    RESTART = "restart"
    """The champion has changed: the challenger is tried again, against the new one."""
    KEEP = "keep"
    """The end of a holdback: the new champion did not lose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to do with a challenger and why, in words and numbers.

    `effect` is a share of the control's mean, [`low`, `high`] its anytime-valid interval at confidence 1 - `alpha`;
    `log_e` is the evidence, which promotes from -log `alpha` on. `users` are those of complete cohorts. `shrunk` is the
    effect after what past experiments taught of such effects: what a launch is believed to be worth.
    """

    action: Action
    reason: str
    effect: float
    low: float
    high: float
    log_e: float
    alpha: float
    cohorts: int
    users: int
    shrunk: float | None = None


class Experimenter(Protocol):
    """The statistics of experiments. Depends on what it was told alone, in whatever order reports came."""

    def open(self, experiment: str, control: str, shares: Mapping[str, float]) -> None:
        """Fixes an experiment's arms, metrics and plan before it starts."""
        ...

    def tell(self, reports: Sequence[CohortReport]) -> None:
        """Takes reports, new, late or repeated."""
        ...

    def decide(self, experiment: str, promotions: int, ended: bool) -> Mapping[str, Decision]:
        """Today's decision for each challenger, when so many were promoted before; `ended` says that nobody new
        enters and that all who entered should have been reported."""
        ...

    def close(self, experiment: str, decision: Decision) -> None:
        """Takes the last word on an experiment; what it taught may serve those that open later."""
        ...


class Clock(Protocol):
    """Time as a parameter."""

    def now(self) -> float:
        """Seconds since the epoch; recorded beside what happened, never decided upon."""
        ...
