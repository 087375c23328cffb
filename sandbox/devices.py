"""Which accelerator a session may see: one each, lent and given back. Knows no engine and no candidate."""

from __future__ import annotations

import re
import threading
from collections import Counter

from evolve.errors import UsageError


class Devices:
    """Lends each session one device, the one with the fewest sessions; the first of them where several have as few.

    Args:
        names: the engine's names of the devices (indices or UUIDs); none lends the empty name, which is no device.
    """

    def __init__(self, names: tuple[str, ...] = ()) -> None:
        self._names = names
        self._used: Counter[str] = Counter()
        self._lock = threading.Lock()

    def lend(self) -> str:
        """A device's name, which the caller gives back; empty where there is none."""
        with self._lock:
            chosen = min(self._names, key=self._used.__getitem__, default="")
            self._used[chosen] += 1
            return chosen

    def give_back(self, name: str) -> None:
        """Ends one loan."""
        with self._lock:
            self._used[name] -= 1


def read_devices(text: str) -> tuple[str, ...]:
    """The names in `0,1` or `GPU-5a...`. Raises UsageError."""
    names = tuple(name.strip() for name in text.split(",")) if text else ()
    if not all(re.fullmatch(r"[A-Za-z0-9:-]+", name) for name in names) or len(set(names)) < len(names):
        raise UsageError(f"--gpus is {text!r}; expected different devices", hint="For example: --gpus 0,1")
    return names
