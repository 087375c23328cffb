"""Asks models: from the store where the call was made before, else the provider, with retries, rests and fallbacks.

What came of a call, a failure included, is kept before anybody acts on it, so a resumed run makes the same choices and
pays nothing twice. A model that keeps failing rests for some calls, counted and not timed. Several threads may ask at
the same time. Knows no prompt.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from agents.models.ledger import Budget, Ledger
from agents.models.words import FREE, Answer, CallStore, Message, Price, Provider, Request
from evolve.contracts import Clock
from evolve.errors import BudgetExhausted, EvolveError, ModelError, UsageError

RESTS_AFTER, RESTS_FOR = 3, 5
"""After so many failed calls in a row a model is left out of so many calls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """How often a call is tried, and how long is waited in between: doubling, with up to half of it at random."""

    tries: int = 3
    first_wait_s: float = 1.0
    longest_wait_s: float = 30.0

    def wait_s(self, tried: int, asked_s: float, rng: random.Random) -> float:
        """How long to wait after `tried` tries; at least what the provider asked for, within the longest wait."""
        backoff = self.first_wait_s * 2 ** (tried - 1) * (1 + rng.random() / 2)
        return min(self.longest_wait_s, max(backoff, asked_s))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer, the model that gave it and the call's key."""

    answer: Answer
    model: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What came of a call: an answer or the last failure, the tries that failed, and what all of it cost."""

    answer: Answer | None = None
    failure: str | None = None
    usd: float = 0.0
    tokens: int = 0
    tries: tuple[Mapping[str, Any], ...] = ()

    def failed(self, error: ModelError, most_usd: float, most_tokens: int) -> Call:
        """The call after one more failed try, charged at the most it may have cost where it may have been charged."""
        charged = (most_usd, most_tokens) if error.charged else (0.0, 0)
        row = {"failure": error.message, "usd": charged[0], "tokens": charged[1]}
        return replace(self, usd=self.usd + charged[0], tokens=self.tokens + charged[1], tries=(*self.tries, row))


class Models:
    """The models of a run behind one store and one budget. `recorded` are an earlier run's calls.
    `clean` takes secrets out of what is said, before it is kept or sent."""

    def __init__(
        self,
        *,
        provider: Provider,
        store: CallStore,
        budget: Budget,
        clock: Clock,
        sleep: Callable[[float], None],
        retries: Retries | None = None,
        pays: bool = True,
        recorded: CallStore | None = None,
        clean: Callable[[str], str] = lambda text: text,
        report: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._provider, self._store, self._budget, self._clock = provider, store, budget, clock
        self._sleep, self._retries, self._pays, self._report = sleep, retries or Retries(), pays, report
        self._recorded, self._clean = recorded, clean
        self._held: dict[str, tuple[float, int]] = {}
        self._trying: set[str] = set()
        self._turn = threading.Condition()
        self._failed: Counter[str] = Counter()
        self._rests: Counter[str] = Counter()
        self.ledger = Ledger(store)

    def ask(
        self, models: Sequence[str], messages: Sequence[Message], *, seed: int, temperature: float, answer_tokens: int,
        schema: str = "",
    ) -> Reply:  # fmt: skip
        """The answer of the first of `models` that gives one.

        Raises:
            ModelError: none did.
            BudgetExhausted: the call might cost more than is left.
            UsageError: a model has no known price.
        """
        reasons: list[str] = []
        said = tuple(replace(message, text=self._clean(message.text)) for message in messages)
        for model in models:
            request = Request(
                model=model, messages=said, seed=seed, temperature=temperature, answer_tokens=answer_tokens,
                schema=schema,
            )  # fmt: skip
            body = self._store.find(request.key) or self._made(request)
            if body["failure"] is None:
                answer = Answer.from_json(body["answer"])
                return Reply(answer=answer, model=model, key=request.key)
            reasons.append(f"{model}: {body['failure']}")
        raise ModelError("; ".join(reasons))

    def note(self, key: str, verdict: str) -> None:
        """Keeps what was made of an answer (`applied`, `ambiguous`, ...) beside it, once."""
        if self._store.find(f"{key}:verdict") is None:
            self._store.keep(f"{key}:verdict", {"verdict": verdict, "charged_usd": 0.0, "charged_tokens": 0})

    def looked_up(self, key: str, tool: str, look: Callable[[], str]) -> str:
        """What a tool said to the answer `key`: as kept, else as recorded, else now. Time, and so what a tool says of
        it, differs from run to run; what follows from it must not."""
        name = f"{key}:tool"
        body = self._store.find(name) or (self._recorded.find(name) if self._recorded else None)
        said = body["said"] if body else look()
        self._store.keep(name, {"tool": tool, "said": said, "charged_usd": 0.0, "charged_tokens": 0})
        return said

    def _made(self, request: Request) -> Mapping[str, Any]:
        """Makes the call and keeps what came of it."""
        if self._takes_a_rest(request.model):
            return self._kept(request, Call(failure=f"it rests after {RESTS_AFTER} failures in a row"))
        try:
            call = self._tried(request)
            self._count(request.model, call)
            return self._kept(request, call)
        finally:
            self._release(request)

    def _takes_a_rest(self, model: str) -> bool:
        """A recorded call says itself whether its model rested."""
        with self._turn:
            rests = self._pays and self._rests[model] > 0
            self._rests[model] -= rests
            return rests

    def _count(self, model: str, call: Call) -> None:
        with self._turn:
            self._failed[model] = 0 if call.failure is None else self._failed[model] + 1
            if self._failed[model] >= RESTS_AFTER:
                self._failed[model], self._rests[model] = 0, RESTS_FOR
        if call.failure is not None:
            self._report(f"model {model}: {call.failure}")

    def _tried(self, request: Request) -> Call:
        """The answer or the reason for none, and what all tries cost."""
        price = self._price(request.model)
        most_tokens = request.prompt_tokens + request.answer_tokens
        most_usd = price.of(request.prompt_tokens, request.answer_tokens)
        rng = random.Random(request.key)
        call = Call()
        for tried in range(1, self._retries.tries + 1):
            self._reserve(request, price, call)
            self._store.begin(request.key, {"at_most_usd": most_usd, "at_most_tokens": most_tokens})
            start = self._clock.now()
            try:
                answer = self._provider.ask(request)
            except ModelError as error:
                call = call.failed(error, most_usd, most_tokens)
                if not error.transient or tried == self._retries.tries:
                    return replace(call, failure=error.message)
                self._sleep(self._retries.wait_s(tried, error.wait_s, rng))
                continue
            except EvolveError:
                self._store.withdraw(request.key)
                raise
            usd = call.usd + price.of(answer.prompt_tokens, answer.answer_tokens)
            if self._pays:
                answer = replace(answer, cost_usd=usd, latency_s=self._clock.now() - start)
            return replace(call, answer=answer, usd=usd, tokens=call.tokens + answer.tokens)
        raise AssertionError("the loop above returns")

    def _reserve(self, request: Request, price: Price, call: Call) -> None:
        """Holds what the next try may cost at most, so that calls at the same time can't pass the budget together.
        Waits while others try, since most cost less than that. Raises BudgetExhausted."""
        tokens = request.prompt_tokens + request.answer_tokens
        usd = price.of(request.prompt_tokens, request.answer_tokens)
        with self._turn:
            self._held[request.key] = call.usd, call.tokens
            self._trying.discard(request.key)
            self._turn.notify_all()
            while True:
                held_usd, held_tokens = (sum(column) for column in zip(*self._held.values(), strict=True))
                try:
                    self._budget.require(self.ledger.with_call(held_usd, int(held_tokens)), request, price)
                except BudgetExhausted:
                    if not self._trying:
                        raise
                    self._turn.wait()
                else:
                    break
            self._held[request.key] = call.usd + usd, call.tokens + tokens
            self._trying.add(request.key)

    def _release(self, request: Request) -> None:
        with self._turn:
            self._held.pop(request.key, None)
            self._trying.discard(request.key)
            self._turn.notify_all()

    def _price(self, model: str) -> Price:
        price = self._provider.price(model) if self._pays else FREE
        if price is None:
            raise UsageError(
                f"the price of {model} is not known, and an unknown price is not zero",
                hint="Give it in USD a million tokens: --price PROMPT,ANSWER (for example --price 1.25,10).",
            )
        return price

    def _kept(self, request: Request, call: Call) -> Mapping[str, Any]:
        usd, tokens = (call.usd, call.tokens) if self._pays else (0.0, 0)
        body = {"request": asdict(request), **asdict(call), "charged_usd": usd, "charged_tokens": tokens}
        with self._turn:
            self._store.keep(request.key, body)
            self.ledger.add(usd, tokens)
            self._held.pop(request.key, None)
        return body
