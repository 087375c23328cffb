"""The one way to real models: LiteLLM. Turns its many errors into `ModelError` and distrusts what it can't check.

LiteLLM is imported at the first call (it takes seconds), with its price list from disk: nothing is fetched. A call has
a deadline of its own, because a server that sends a byte now and then never meets one between bytes.
"""

from __future__ import annotations

import json
import os
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlparse

from agents.models.catalog_model import PROVIDER, CatalogModel
from agents.models.secrets import Secrets
from agents.models.words import FREE, Answer, Price, Request, tokens_in
from evolve.errors import ModelError

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1", "[::1]"})
SWITCH = "EVOLVE_REAL_MODELS"
"""`forbidden` in the environment makes every call that would leave the machine an error; tests set it."""
LONGEST_ANSWER = 1 << 20
"""Characters; what is longer is cut, and its diff refused."""
PLAUSIBLE = (1 / 16, 2.0)
"""Tokens a byte of text: what a provider reports outside of these is replaced by our estimate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiteLLM:
    """Asks any model that LiteLLM knows; implements `words.Provider`.

    `api_base` is an OpenAI-compatible (or Ollama) endpoint; one on this machine costs nothing and needs no key.
    `given_price` takes the place of LiteLLM's price list.
    """

    secrets: Secrets
    api_base: str = ""
    given_price: Price | None = None
    catalog: CatalogModel = field(default_factory=CatalogModel)
    """What answers as `catalog/techniques`."""
    deadline_s: float = 180.0

    def price(self, model: str) -> Price | None:
        """What was given, nothing on this machine, else what LiteLLM's list says; None where it says nothing."""
        if _is_catalog(model):
            return FREE
        if self.given_price is not None:
            return self.given_price
        if self.is_local(model):
            return FREE
        entry = _litellm().model_cost.get(model) or _litellm().model_cost.get(model.partition("/")[2])
        if not entry or "input_cost_per_token" not in entry or "output_cost_per_token" not in entry:
            return None
        return Price(prompt=entry["input_cost_per_token"] * 1e6, answer=entry["output_cost_per_token"] * 1e6)

    def is_local(self, model: str) -> bool:
        """Whether the call stays on this machine."""
        if _is_catalog(model):
            return True
        base = self.api_base
        if not base and model.startswith(("ollama/", "ollama_chat/")):
            base = os.environ.get("OLLAMA_API_BASE") or "http://localhost:11434"
        return urlparse(base).hostname in LOOPBACK

    def ask(self, request: Request) -> Answer:
        """One try."""
        is_local = self.is_local(request.model)
        if not is_local and os.environ.get(SWITCH) == "forbidden":
            raise ModelError(f"{SWITCH}=forbidden: no call may leave this machine")
        _litellm()  # its import takes seconds and is not the provider's
        response = self._in_time(lambda: self._completion(request, is_local=is_local))
        return self._answer(request, response)

    def _completion(self, request: Request, *, is_local: bool) -> Any:
        litellm = _litellm()
        words: dict[str, Any] = {
            "model": request.model,
            "messages": [{"role": m.role, "content": self.secrets.clean(m.text)} for m in request.messages],
            "temperature": request.temperature,
            "max_tokens": request.answer_tokens,
            "seed": request.seed,
            "timeout": self.deadline_s,
            "max_retries": 0,
            "drop_params": True,
        }
        if _is_catalog(request.model):
            litellm.custom_provider_map = [{"provider": PROVIDER, "custom_handler": self.catalog.handler()}]
            return litellm.completion(**words)
        if self.api_base:
            words["api_base"] = self.api_base
        if is_local and self.api_base:
            words["api_key"] = "none"
        if request.schema and litellm.supports_response_schema(model=request.model):
            schema = {"name": "proposal", "schema": json.loads(request.schema)}
            words["response_format"] = {"type": "json_schema", "json_schema": schema}
        return litellm.completion(**words)

    def _in_time(self, work: Callable[[], Any]) -> Any:
        """The result of `work`, whose thread is left behind where it takes too long."""
        box: queue.SimpleQueue[tuple[Any, Exception | None]] = queue.SimpleQueue()

        def worker() -> None:
            try:
                box.put((work(), None))
            except Exception as error:  # noqa: BLE001 - handed to the caller, whatever it is
                box.put((None, error))

        threading.Thread(target=worker, daemon=True, name="model call").start()
        try:
            result, error = box.get(timeout=self.deadline_s)
        except queue.Empty:
            raise ModelError(f"no answer in {self.deadline_s:.0f} s", transient=True, charged=True) from None
        if error is not None:
            raise self._error(error) from error
        return result

    def _error(self, error: Exception) -> ModelError:
        """What a failed try means: whether to try again, and whether it may have been charged."""
        if isinstance(error, ModelError):
            return error
        causes = _causes(error)
        names = {type(cause).__name__ for cause in causes}
        status = getattr(error, "status_code", None)
        was_answered = "APIStatusError" in {base.__name__ for cause in causes for base in type(cause).__mro__}
        refused = bool(names & {"ConnectError", "ConnectTimeout", "ConnectionRefusedError"})
        transient = not (isinstance(status, int) and 400 <= status < 500 and status not in {408, 409, 425, 429})
        told = self.secrets.clean(" ".join(str(error).split()))[:300]
        said_status = isinstance(status, int) and was_answered and not names & _HEARD_NOTHING
        return ModelError(
            f"{type(error).__name__}: {told}",
            transient=transient,
            charged=not refused and not said_status,
            wait_s=max(_wait_s(getattr(cause, "response", None)) for cause in causes),
        )

    def _answer(self, request: Request, response: Any) -> Answer:
        try:
            choice = response.choices[0]
            text = choice.message.content or ""
            version, reason = str(response.model or request.model), choice.finish_reason
        except (AttributeError, IndexError, TypeError) as error:
            raise ModelError(f"the answer has no message ({error})", transient=True, charged=True) from error
        prompt, answer, is_told = _usage(request, text, getattr(response, "usage", None))
        is_huge = len(text) > LONGEST_ANSWER
        odd = {"no text": not text, "huge": is_huge, "token use estimated": not is_told}
        return Answer(
            text=self.secrets.clean(text[:LONGEST_ANSWER]),
            version=self.secrets.clean(version),
            prompt_tokens=prompt,
            answer_tokens=answer,
            is_cut=reason == "length" or is_huge,
            flags=tuple(flag for flag, holds in odd.items() if holds),
        )


_HEARD_NOTHING = frozenset(
    {"APIConnectionError", "APITimeoutError", "Timeout", "RemoteProtocolError", "ReadError", "ReadTimeout"}
    | {"JSONDecodeError", "UnicodeDecodeError", "APIResponseValidationError", "DecodingError"}
)


def _causes(error: BaseException) -> list[BaseException]:
    """The error and all that led to it."""
    found: list[BaseException] = []
    queue_: list[BaseException | None] = [error]
    while queue_:
        one = queue_.pop()
        if one is not None and one not in found:
            found.append(one)
            queue_ += [one.__cause__, one.__context__]
    return found


def _wait_s(response: Any) -> float:
    """The `Retry-After` header, in seconds; 0 where there is none that can be read."""
    headers: Any = getattr(response, "headers", None) or {}
    try:
        return max(0.0, float(headers.get("retry-after", 0)))
    except (TypeError, ValueError):
        return 0.0


def _usage(request: Request, text: str, usage: Any) -> tuple[int, int, bool]:
    """Prompt tokens, answer tokens, and whether the provider's own figures could be true."""
    told_prompt, told_answer = getattr(usage, "prompt_tokens", None), getattr(usage, "completion_tokens", None)
    prompt_bytes = sum(len(m.text.encode("utf-8", "surrogatepass")) for m in request.messages)
    answer_bytes = len(text.encode("utf-8", "surrogatepass"))
    details = getattr(usage, "completion_tokens_details", None)
    thought = getattr(details, "reasoning_tokens", None) or 0
    if (
        isinstance(told_prompt, int)
        and isinstance(told_answer, int)
        and _plausible(told_prompt, prompt_bytes)
        and _plausible(told_answer - thought, answer_bytes)
    ):
        return told_prompt, told_answer, True
    return request.prompt_tokens, tokens_in(text), False


def _plausible(tokens: int, size: int) -> bool:
    return size * PLAUSIBLE[0] - 1 <= tokens <= size * PLAUSIBLE[1] + 64


def _is_catalog(model: str) -> bool:
    return model.startswith(f"{PROVIDER}/")


def missing_keys(model: str) -> list[str]:
    """The environment variables that a model's provider needs and that are not set."""
    found = _litellm().validate_environment(model)
    return [] if found["keys_in_environment"] else list(found["missing_keys"])


def _litellm() -> Any:
    # Before the import: otherwise it fetches its price list from the network.
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    import litellm

    litellm.suppress_debug_info = True
    return litellm
