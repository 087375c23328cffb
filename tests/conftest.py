"""Shared by every test: nothing reads the user's cache, keys or git settings, and no real model is called."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

settings.register_profile("ours", deadline=None, derandomize=True, database=None)
settings.load_profile("ours")


@pytest.fixture(autouse=True)
def _no_settings_of_the_user(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("live") is None:
        monkeypatch.setenv("EVOLVE_REAL_MODELS", "forbidden")
    elif "EVOLVE_LIVE_MODEL" not in os.environ:
        pytest.skip("no EVOLVE_LIVE_MODEL=PROVIDER/NAME is given")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
