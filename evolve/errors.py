"""Errors that are ours, the engine's or the machine's; a candidate's fault is never an exception.

    EvolveError
    ├── SetupError         something that the user must install or start
    ├── UsageError         an argument or a file of the user's that can't be used
    │   └── DataError      a data set that is missing or has the wrong columns
    ├── RunError           a run folder that can't be opened or continued
    │   ├── JournalError   a journal whose hash chain is broken
    │   └── OutOfEvidence  a replay asked for what its run never tried
    ├── SandboxError       the sandbox itself failed (engine gone, disk full): retried, never blamed
    ├── ModelError         a language model's provider gave no usable answer
    ├── PlatformError      an experiment platform that does not answer, or not as agreed: ask again later
    └── BudgetExhausted    a limit that the user set was reached

The command line turns an `EvolveError` into one message and exit code 2.
"""

from __future__ import annotations


class EvolveError(Exception):
    """What was expected, what was found, and what to do next.

    Args:
        message: one sentence: what was expected and what was found.
        hint: what the user can do about it; empty where nothing can be done.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message


class SetupError(EvolveError):
    """The machine lacks something that the command needs."""


class UsageError(EvolveError):
    """An argument or a file that the user gave can't be used."""


class DataError(UsageError):
    """A data set is missing, damaged, or has the wrong columns."""


class RunError(EvolveError):
    """A run folder can't be created, opened or continued."""


class JournalError(RunError):
    """The journal's hash chain is broken; `record` is the number of the first bad record."""

    def __init__(self, message: str, *, record: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.record = record


class OutOfEvidence(RunError):
    """A replay asked for what its run never tried: nothing is made up, so it stops there."""


class SandboxError(EvolveError):
    """The sandbox itself failed: the candidate is not to blame and is tried again."""


class ModelError(EvolveError):
    """A provider gave no usable answer.

    `transient`: another try may help; `charged`: the provider may have charged for it; `wait_s`: how long it asked
    us to wait, 0 where it said nothing.
    """

    def __init__(
        self, message: str, *, transient: bool = False, charged: bool = False, wait_s: float = 0.0, hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.transient, self.charged, self.wait_s = transient, charged, wait_s


class PlatformError(EvolveError):
    """The experiment platform gave no answer, or none that can be read: nothing was decided on it."""


class BudgetExhausted(EvolveError):
    """A limit that the user set was reached."""
