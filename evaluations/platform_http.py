"""A platform behind HTTP: how a user's own A/B service is spoken to. `docs/platform.openapi.yaml` describes it.

Knows nothing of experiments' rules. Every call may be made twice: the service must take the second as said already.
Nothing is retried here; whoever drives the days asks again.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any

from evolve.contracts import CohortReport
from evolve.errors import PlatformError, UsageError

MOST_BYTES = 64 << 20
"""Of one answer: half a million reports."""


class HttpPlatform:
    """Implements `evolve.contracts.Platform`. Raises UsageError for an address that is none, PlatformError for a
    service that does not answer within `timeout_s`, refuses, or answers what is not agreed."""

    def __init__(self, address: str, *, timeout_s: float = 30.0, token: str = "") -> None:
        if urllib.parse.urlsplit(address).scheme not in ("http", "https"):
            raise UsageError(f"`{address}` is no address of a platform", hint="For example: http://127.0.0.1:8080")
        self._address, self._timeout_s, self._token = address.rstrip("/"), timeout_s, token

    def launch(self, experiment: str, arms: Mapping[str, float], traffic: float) -> None:
        self._ask("PUT", f"/experiments/{_quoted(experiment)}", {"arms": dict(arms), "traffic": traffic})

    def ramp(self, experiment: str, traffic: float) -> None:
        self._ask("PUT", f"/experiments/{_quoted(experiment)}/traffic", {"traffic": traffic})

    def stop(self, experiment: str) -> None:
        self._ask("DELETE", f"/experiments/{_quoted(experiment)}")

    def promote(self, arm: str) -> None:
        self._ask("PUT", "/champion", {"arm": arm})

    def observe(self, day: int) -> Sequence[CohortReport]:
        return read_reports(self._ask("GET", f"/reports?day={day}"))

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> bytes:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        sent = None if body is None else json.dumps(body).encode()
        asked = urllib.request.Request(self._address + path, data=sent, headers=headers, method=method)  # noqa: S310
        try:
            with urllib.request.urlopen(asked, timeout=self._timeout_s) as answer:  # noqa: S310
                found: bytes = answer.read(MOST_BYTES + 1)
        except urllib.error.HTTPError as error:
            with error:
                said = error.read(500).decode(errors="replace")
            raise PlatformError(f"the platform refused {method} {path}: {error.code} {said}".rstrip()) from error
        except OSError as error:
            reason = getattr(error, "reason", error)
            raise PlatformError(
                f"the platform at {self._address} did not answer {method} {path}: {reason}",
                hint="Start it or mend the address, then go on: nothing was decided.",
            ) from error
        if len(found) > MOST_BYTES:
            raise PlatformError(f"the platform answered {method} {path} with more than {MOST_BYTES} bytes")
        return found


def read_reports(text: bytes) -> list[CohortReport]:
    """The reports of an answer. A number that is none passes and is the ledger's matter; another shape does not."""
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(list[CohortReport]).validate_python(json.loads(text))
    except ValidationError as error:
        first = error.errors()[0]
        place = "/".join(str(step) for step in first["loc"])
        raise PlatformError(f"the platform's reports are not as agreed: {first['msg']} at {place}") from error
    except ValueError as error:
        raise PlatformError(f"the platform's reports are no JSON: {error}") from error


def _quoted(name: str) -> str:
    return urllib.parse.quote(name, safe="")
