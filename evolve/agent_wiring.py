"""Where the agent with a language model meets the rest: its models, its store of calls, its tools, its budgets.

Turns the words after `--model` into a proposer for `evolve.wiring.open_run`. Makes no decision of its own.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from evolve.calls import CallFile
from evolve.config import ModelConfig, cache_folder
from evolve.errors import RunError, SetupError, UsageError
from evolve.model_words import CATALOG, model_weights, price, price_words, saved, settings_of
from evolve.run_folder import RunFolder, find
from evolve.steering import reader
from evolve.wiring import WallClock, read_archive

if TYPE_CHECKING:
    from agents.models.catalog_model import CatalogModel
    from agents.models.client import Models
    from agents.models.words import Price, Provider
    from agents.offline import AgentSettings
    from evolve.contracts import Proposer, SearchSpace, Tool
    from evolve.outer_loop import Reorder

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """A proposer in the making: what it will be called, and what makes it once the space and its tools are known."""

    name: str
    costs: str
    """What its answers cost, in words."""
    make: Callable[[SearchSpace, Sequence[Tool]], Proposer]
    models: Models
    reorder: Reorder
    """Its word on which challenger is tried on people first."""


@contextmanager
def open_agent(config: ModelConfig, folder: RunFolder, runs: Path, report: Report) -> Generator[Agent | None]:
    """The agent of a run, or None where the catalogue proposes; closes the store of calls at the end.

    Raises UsageError where the words after `--model` can't be used, or a price is not known.
    """
    if config.model in {"", CATALOG}:
        yield None
        return
    load_keys()
    store = CallFile(folder.calls)
    with ExitStack() as stack:
        stack.callback(store.close)
        yield _agent(config, folder, runs, store, report, stack)


@contextmanager
def open_reorder(config: ModelConfig, folder: RunFolder, runs: Path, report: Report) -> Generator[Reorder | None]:
    """The run's model as one that orders challengers; None where it has none, or where it can't be used here and now:
    experiments need no model."""
    with ExitStack() as stack:
        try:
            agent = stack.enter_context(open_agent(config, folder, runs, report))
        except (UsageError, SetupError) as error:
            report(f"no model orders the challengers ({error.message})")
            agent = None
        yield agent.reorder if agent else None


def models_folder() -> Path:
    """Where models in GGUF files are looked for by their names."""
    return cache_folder() / "models"


def load_keys(path: Path = Path(".env")) -> None:
    """Takes keys from a `.env` file of the working folder; what the environment has already stays."""
    if path.is_file():
        from dotenv import load_dotenv

        load_dotenv(path)


def _agent(
    config: ModelConfig, folder: RunFolder, runs: Path, store: CallFile, report: Report, stack: ExitStack
) -> Agent:
    from agents.models.catalog_model import CatalogModel
    from agents.models.client import Models
    from agents.models.ledger import Budget
    from agents.models.secrets import Secrets
    from agents.ordering import ModelOrder

    asked, source, steering = config.model, None, reader(folder.steering)
    if asked.startswith("replay/"):
        old = find(runs, asked.removeprefix("replay/"))
        source, steering = CallFile(old.calls, read_only=True), reader(old.steering, recorded=True)
        config = replace(saved(old), model=config.model)
    while asked.startswith("replay/"):
        asked = saved(find(runs, asked.removeprefix("replay/"))).model
    weights = model_weights(asked)
    settings = settings_of(config, weights)
    cards = CatalogModel()
    provider = _provider(weights, config, store, source, cards)
    if source is None:
        provider = _with_local(weights, provider, settings, stack)
    prices = {model: known_price(provider, model) for model in weights}
    models = Models(
        provider=provider,
        store=store,
        budget=Budget(usd=config.budget_usd, tokens=config.budget_tokens),
        clock=WallClock(),
        sleep=time.sleep,
        pays=source is None,
        recorded=source,
        clean=Secrets(os.environ).clean,
        report=report,
    )

    def make(space: SearchSpace, tools: Sequence[Tool]) -> Proposer:
        from agents.catalog import CatalogProposer
        from agents.offline import OfflineAgent
        from agents.persona_files import read_roles
        from agents.tools import Lint, ReadJournal, Retrieve

        cards.techniques = space.techniques
        own = (ReadJournal(), Retrieve(space=space), Lint(space=space, changed_lines=settings.changed_lines))
        return OfflineAgent(
            name=config.model,
            space=space,
            models=models,
            weights=weights,
            roles=read_roles(),
            tools=(*own, *tools),
            steering=steering,
            fallback=CatalogProposer(space=space),
            settings=settings,
            report=report,
        )

    order = ModelOrder(models, sorted(weights, key=lambda model: -weights[model]), report)
    return Agent(name=config.model, costs=_costs(prices, source), make=make, models=models, reorder=order)


def _provider(
    weights: dict[str, float], config: ModelConfig, store: CallFile, source: CallFile | None, cards: CatalogModel
) -> Provider:
    from agents.models.litellm_provider import LiteLLM
    from agents.models.offline import ReplayedModel, ScriptedModel, read_script
    from agents.models.secrets import Secrets

    if source is not None:
        return ReplayedModel(source)
    scripts = [model for model in weights if model.startswith("scripted/")]
    if scripts:
        if len(weights) > 1:
            raise UsageError("a script is the only model of its run", hint=f"--model {scripts[0]}")
        path = Path(scripts[0].removeprefix("scripted/"))
        if not path.is_file():
            raise UsageError(f"there is no script {path}", hint="Write scripted/FILE, with a path that exists.")
        return ScriptedModel(read_script(path.read_text(), is_json_lines=path.suffix == ".jsonl"), store)
    given = price(config.price) if config.price else None
    return LiteLLM(secrets=Secrets(os.environ), api_base=config.api_base, given_price=given, catalog=cards)


def _with_local(weights: Mapping[str, float], rest: Provider, settings: AgentSettings, stack: ExitStack) -> Provider:
    """The provider, with a server for each model in a file of this machine's; `stack` ends the servers."""
    from agents.models.litellm_provider import LiteLLM
    from agents.models.local import is_local, model_file, served
    from agents.models.secrets import Secrets

    files = {model: model_file(model, models_folder()) for model in weights if is_local(model)}
    if not files:
        return rest
    turns = 1 + settings.repairs + settings.tool_calls
    context_tokens = settings.prompt_tokens + turns * 2 * settings.answer_tokens
    like = LiteLLM(secrets=Secrets(os.environ))
    return stack.enter_context(served(files, rest, like, context_tokens))


def known_price(provider: Provider, model: str) -> Price:
    """The price of a model. Raises UsageError where it is not known."""
    found = provider.price(model)
    if found is None:
        raise UsageError(
            f"the price of {model} is not known, and an unknown price is not zero",
            hint="Give it in USD a million tokens: --price PROMPT,ANSWER (for example --price 1.25,10).",
        )
    return found


def _costs(prices: Mapping[str, Price], source: CallFile | None) -> str:
    if source is not None:
        return "recorded answers, paid for before"
    if len(prices) == 1:
        return price_words(next(iter(prices.values())))
    return "; ".join(f"{model} {price_words(found)}" for model, found in prices.items())


def spent_line(agent: Agent) -> str:
    """What the models of a run have cost so far."""
    spent = agent.models.ledger.spent
    lost = f", {spent.lost_calls} of them never answered and charged by estimate" if spent.lost_calls else ""
    return f"models:    {spent.calls} calls, {spent.tokens} tokens, {spent.usd:.4f} USD{lost}"


def rates_of(folder: RunFolder) -> dict[str, object]:
    """The three rates of a run's model answers, and what they cost. Raises RunError where the run asked no model."""
    from agents.models.ledger import Ledger
    from agents.rates import rates

    if not folder.calls.is_file():
        raise RunError(f"the run {folder.name} asked no model", hint="Start one: evolve start --model PROVIDER/NAME")
    calls = CallFile(folder.calls, read_only=True)
    bodies = list(calls.kept())
    models = frozenset(body["request"]["model"] for body in bodies if "request" in body)
    verdicts = [str(body["verdict"]) for body in bodies if "verdict" in body]
    spent = Ledger(calls).spent
    found = asdict(rates(read_archive(folder).attempts, verdicts, models))
    return {**found, "calls": spent.calls, "tokens": spent.tokens, "usd": spent.usd, "lost_calls": spent.lost_calls}


def graph_of_the_agent() -> str:
    """The agent's graph as a Mermaid diagram; no model is asked for it."""
    from agents.graph import build

    return str(build(None).get_graph().draw_mermaid())
