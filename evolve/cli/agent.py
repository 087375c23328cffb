"""Commands about the agent: which models can be used, what it looks like, and a word to it while it works."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from evolve.cli.printing import console, print_json, print_table, safe
from evolve.errors import EvolveError
from evolve.run_folder import find

if TYPE_CHECKING:
    from agents.models.litellm_provider import LiteLLM

agents = typer.Typer(help="The agent that proposes with a language model.", no_args_is_help=True)
EXAMPLES = {
    "GEMINI_API_KEY": "gemini/gemini-2.5-pro",
    "ANTHROPIC_API_KEY": "anthropic/claude-sonnet-4-5",
    "OPENAI_API_KEY": "openai/gpt-5",
    "OPENROUTER_API_KEY": "openrouter/deepseek/deepseek-chat",
}


def models(
    names: Annotated[list[str] | None, typer.Argument(help="Models, e.g. gemini/gemini-2.5-pro.")] = None,
    api_base: Annotated[str, typer.Option(help="An OpenAI-compatible endpoint.")] = "",
    price: Annotated[str, typer.Option(help="PROMPT,ANSWER in USD a million tokens.")] = "",
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Which models can be used here, and what they cost. Without names: one for each key that is set, and the GGUF
    files of this machine."""
    from agents.models.litellm_provider import LiteLLM
    from agents.models.local import files_in
    from agents.models.secrets import Secrets
    from evolve import agent_wiring, model_words

    agent_wiring.load_keys()
    given = model_words.price(price) if price else None
    provider = LiteLLM(secrets=Secrets(os.environ), api_base=api_base, given_price=given)
    rows = [{"model": "catalog", "usable": "yes", "price": "costs nothing"}]
    known = [model for key, model in EXAMPLES.items() if os.environ.get(key)] + files_in(agent_wiring.models_folder())
    rows += [_row(name, provider) for name in names or known]
    if json:
        print_json(rows)
        return
    print_table("", ("model", "usable", "price"), [[safe(value) for value in row.values()] for row in rows])
    if not names and len(rows) == 1:
        console().print(f"no key is set ({', '.join(EXAMPLES)}): the catalogue proposes")


def _row(name: str, provider: LiteLLM) -> dict[str, str]:
    """Whether a model can be used, and its price."""
    from agents.models import local
    from agents.models.litellm_provider import missing_keys
    from evolve import agent_wiring
    from evolve.model_words import price_words

    if local.is_local(name):
        try:
            local.model_file(name, agent_wiring.models_folder())
        except EvolveError as error:
            return {"model": name, "usable": f"no: {error.message}", "price": "costs nothing"}
        return {"model": name, "usable": "yes", "price": "costs nothing"}
    missing = [] if provider.is_local(name) else missing_keys(name)
    found = provider.price(name)
    words = price_words(found) if found else "unknown: give --price"
    return {"model": name, "usable": f"no: {', '.join(missing)} is not set" if missing else "yes", "price": words}


def steer(
    run: Annotated[str, typer.Argument(help="The run's name; `latest` for the newest.")],
    text: Annotated[str, typer.Argument(help='What the agent should try, e.g. "try gating".')],
    out: Annotated[Path, typer.Option(help="Where run folders are.")] = Path("runs"),
) -> None:
    """Asks something of a run's agent; it is read at the next proposal."""
    from agents.models.secrets import Secrets
    from evolve import agent_wiring, steering

    agent_wiring.load_keys()
    folder = find(out, None if run == "latest" else run)
    steering.steer(folder.steering, Secrets(os.environ).clean(text))
    console().print(f"{safe(folder.name)} reads it at its next proposal")


@agents.command("draw")
def draw() -> None:
    """The agent's graph, as a Mermaid diagram."""
    from evolve.agent_wiring import graph_of_the_agent

    print(graph_of_the_agent())


@agents.command("rates")
def rates(
    run: Annotated[str, typer.Argument(help="The run's name; empty for the newest.")] = "",
    out: Annotated[Path, typer.Option(help="Where run folders are.")] = Path("runs"),
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """How many of the models' answers landed, meant what they said, and paid; why the others were not used."""
    from evolve.agent_wiring import rates_of

    found = rates_of(find(out, run or None))
    if json:
        print_json(found)
        return
    print_table("", ("", ""), [[safe(name.replace("_", " ")), safe(str(value))] for name, value in found.items()])
