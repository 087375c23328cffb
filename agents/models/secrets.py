"""Takes secrets out of texts: whatever an environment holds under a name that sounds like one."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping

NAMES = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL", re.IGNORECASE)
SHORTEST = 8
"""Shorter values are words of everyday and would blank out half of a text."""


class Secrets:
    """The secrets of one environment."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._hidden: dict[str, str] = {}
        for name, value in environment.items():
            if NAMES.search(name) and len(value) >= SHORTEST:
                self._hidden[value] = name
                self._hidden[base64.b64encode(value.encode()).decode()] = name

    def clean(self, text: str) -> str:
        """`text` with each secret replaced by the name that it goes by."""
        for value, name in self._hidden.items():
            text = text.replace(value, f"[{name}]")
        return text
