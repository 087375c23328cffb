"""The words after `--model`: which models with which weights, at what price, and how a run remembers them.

Asks no model and opens no store; `evolve.agent_wiring` does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from evolve.config import ModelConfig
from evolve.errors import UsageError
from evolve.run_folder import RunFolder, find
from evolve.wiring import read_archive

if TYPE_CHECKING:
    from agents.models.words import Price
    from agents.offline import AgentSettings

CATALOG = "catalog"
THINKING, LOCAL_THINKING = 2, 1
"""Proposals that are thought of at once where nobody says how many; this machine serves one after the other."""


def thinking_of(config: ModelConfig, asked: int | None, runs: Path) -> int:
    """How many proposals are thought of at once: what decides which history each sees, so a replay takes its run's."""
    if config.model in {"", CATALOG} or config.model.startswith("scripted/"):
        return 0  # the catalogue answers at once, and a script has one order
    if config.model.startswith("replay/"):
        return int(read_archive(find(runs, config.model.removeprefix("replay/"))).settings.get("thinking", 0))
    if asked is not None:
        return asked
    return LOCAL_THINKING if "local/" in config.model else THINKING


def model_weights(text: str) -> dict[str, float]:
    """`a=0.7,b=0.3` or `a,b` -> model and weight. Raises UsageError."""
    weights: dict[str, float] = {}
    from agents.models.catalog_model import MODEL

    for part in text.split(","):
        model, _, weight = part.strip().partition("=")
        model = MODEL if model == CATALOG else model
        try:
            weights[model] = float(weight or 1)
        except ValueError:
            weights[model] = -1.0
        if "/" not in model or not weights[model] > 0:
            raise UsageError(
                f"`{part}` is no model",
                hint="Write PROVIDER/NAME, local/FILE, scripted/FILE, replay/RUN or catalog; several as a=0.7,b=0.3.",
            )
    return weights


def price(text: str) -> Price:
    """`1.25,10` in US dollars a million tokens of prompt and answer. Raises UsageError."""
    from agents.models.words import Price

    try:
        prompt, answer = (float(part) for part in text.split(","))
    except ValueError:
        prompt = answer = -1.0
    if not (prompt >= 0 and answer >= 0):
        raise UsageError(f"`{text}` is no price", hint="Write PROMPT,ANSWER in USD a million tokens: --price 1.25,10")
    return Price(prompt=prompt, answer=answer)


def price_words(found: Price) -> str:
    """A price in words."""
    free = not found.prompt and not found.answer
    return "costs nothing" if free else f"{found.prompt:g} USD a million prompt tokens, {found.answer:g} of answers"


def settings_of(config: ModelConfig, weights: Mapping[str, float]) -> AgentSettings:
    """How the agent works: with short prompts where one of the models runs on this machine's processor."""
    from agents.models.local import is_local
    from agents.offline import SMALL, AgentSettings

    fitting = SMALL if any(map(is_local, weights)) else AgentSettings()
    return replace(
        fitting,
        prompt_tokens=config.prompt_tokens or fitting.prompt_tokens,
        answer_tokens=config.answer_tokens or fitting.answer_tokens,
    )


def save(config: ModelConfig, folder: RunFolder) -> None:
    """Keeps beside the journal how the run's models are asked, so that --resume and replay need no flags."""
    folder.model.write_text(json.dumps(asdict(config), indent=1) + "\n")


def saved(folder: RunFolder) -> ModelConfig:
    """How a run's models are asked; the catalogue where the run has none."""
    return ModelConfig(**json.loads(folder.model.read_text())) if folder.model.is_file() else ModelConfig()


def resumed(asked: ModelConfig, folder: RunFolder) -> ModelConfig:
    """The settings of the run that is resumed, under those that were given anew."""
    given = {name: value for name, value in asdict(asked).items() if value != getattr(ModelConfig(), name)}
    return replace(saved(folder), **given)
