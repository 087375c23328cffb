"""What the calls of a run have cost, and whether the next may be made. Folded from the store: no second truth."""

from __future__ import annotations

from dataclasses import dataclass, replace

from agents.models.words import CallStore, Price, Request
from evolve.errors import BudgetExhausted


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """Money and tokens. `lost_calls` were made and never heard of again; they are in the sums by our estimate."""

    usd: float
    tokens: int
    calls: int
    lost_calls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The most that a run may pay for models; None is no limit."""

    usd: float | None = None
    tokens: int | None = None

    def require(self, spent: Spent, request: Request, price: Price) -> None:
        """Raises BudgetExhausted where the request might cost more than is left."""
        tokens = request.prompt_tokens + request.answer_tokens
        usd = price.of(request.prompt_tokens, request.answer_tokens)
        if self.usd is not None and spent.usd + usd > self.usd:
            raise BudgetExhausted(
                f"of the budget of {self.usd:.4g} USD {spent.usd:.4g} are spent, and the next call may cost {usd:.2g}",
                hint="Continue with --resume and a larger --budget-usd.",
            )
        if self.tokens is not None and spent.tokens + tokens > self.tokens:
            raise BudgetExhausted(
                f"of the budget of {self.tokens} tokens {spent.tokens} are spent, and the next call may take {tokens}",
                hint="Continue with --resume and a larger --budget-tokens.",
            )


class Ledger:
    """The sums of a store, kept up as calls are added."""

    def __init__(self, store: CallStore) -> None:
        kept, lost = list(store.kept()), list(store.lost())
        self.spent = Spent(
            usd=sum(body["charged_usd"] for body in kept) + sum(body["at_most_usd"] for body in lost),
            tokens=sum(body["charged_tokens"] for body in kept) + sum(body["at_most_tokens"] for body in lost),
            calls=sum("request" in body for body in kept),
            lost_calls=len(lost),
        )

    def with_call(self, usd: float, tokens: int) -> Spent:
        """The sums with one more call, which is not kept yet."""
        before = self.spent
        return replace(before, usd=before.usd + usd, tokens=before.tokens + tokens, calls=before.calls + 1)

    def add(self, usd: float, tokens: int) -> None:
        """Takes one more call into the sums."""
        self.spent = self.with_call(usd, tokens)
