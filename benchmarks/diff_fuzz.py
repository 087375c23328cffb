"""Does the reader of diffs ever apply anything but what was meant? Written against its promise, not its code.

Each trial first makes an edit of a real seed file by splicing lines, so that the meant result is known without any
parser, and then writes it down as a model might: blocks, a unified diff or whole functions, with fences, words,
returns, trailing spaces, shifted indentation; or spoils the answer: cut off anywhere, an anchor with a typing error,
a wrong file, markers doubled, noise. What is applied must be the meant result (of a cut answer: of the edits that
were whole), what is spoilt must be refused, and an unspoilt answer whose lines stand in one place only must land.
"""

from __future__ import annotations

import ast
import random
from collections import Counter
from collections.abc import Callable

from agents.diffs.answer import apply_answer
from agents.diffs.change import Applied
from benchmarks.common import Result, main, progress
from benchmarks.written_answers import (
    Meant,
    blocks,
    cut,
    cut_hunks,
    functions,
    hunks,
    returns,
    spoilt,
    trees,
)

TRIALS, QUICK = 100_000, 4_000


def noise(rng: random.Random, tree: dict[str, str], editable: tuple[str, ...]) -> Meant | None:
    """Markers, lines and bytes in any order: nothing may break, and no file may change that must not."""
    path = rng.choice(editable)
    parts = [
        "<<<<<<< SEARCH", "=======", ">>>>>>> REPLACE", "```", "```python", "@@ -1 +1 @@", "--- a", "+++ b", path,
        "harness.py", *rng.choices(tree[path].splitlines(), k=6), "LABELS = 1", "\x00", "\ud800", "+x", "-x", "\r",
    ]  # fmt: skip
    text = "\n".join(rng.choices(parts, k=rng.randint(1, 25)))
    result = apply_answer(text, tree, editable)
    if isinstance(result, Applied):
        assert result.files, "applied nothing"
        assert set(result.files) <= set(editable), "changed a file that may not change"
    return None


KINDS: tuple[Callable[..., Meant | None], ...] = (
    *(blocks, blocks, blocks, returns, cut, hunks, hunks, cut_hunks, functions, spoilt, spoilt, noise),
)


def same(one: dict[str, str], other: dict[str, str], *, by_syntax: bool) -> bool:
    if not by_syntax:
        return one == other
    return {path: ast.dump(ast.parse(text)) for path, text in one.items()} == {
        path: ast.dump(ast.parse(text)) for path, text in other.items()
    }


def trial(number: int, places: list[tuple[dict[str, str], tuple[str, ...]]]) -> tuple[str, str]:
    """The kind of the trial and what came of it: applied, refused, WRONG, MISSED or CRASH."""
    rng = random.Random(number)
    kind = rng.choice(KINDS)
    tree, editable = rng.choice(places)
    try:
        meant = kind(rng, tree, editable)
        if meant is None:
            return kind.__name__, "held"
        result = apply_answer(meant.text, meant.tree, meant.editable)
    except Exception as error:  # noqa: BLE001 - any exception is the finding
        return kind.__name__, f"CRASH {type(error).__name__}"
    if not isinstance(result, Applied):
        return kind.__name__, "MISSED" if meant.must_land else "refused"
    tree_after = {**meant.tree, **result.files}
    right = any(same(tree_after, one, by_syntax=meant.by_syntax) for one in meant.results)
    return kind.__name__, "applied" if right else "WRONG"


def measure(quick: bool) -> Result:
    places, trials = trees(), QUICK if quick else TRIALS
    counts: Counter[tuple[str, str]] = Counter()
    examples: dict[str, int] = {}
    for number in range(trials):
        found = trial(number, places)
        counts[found] += 1
        if found[1].isupper() or found[1].startswith("CRASH"):
            examples.setdefault(" ".join(found), number)
        if number % 10_000 == 9_999:
            progress(f"{number + 1} answers")
    bad = sum(count for (_, what), count in counts.items() if what in {"WRONG", "MISSED"} or what.startswith("CRASH"))
    return Result(
        figure=bad,
        unit=f"answers of {trials} that broke the reader, were applied wrongly, or missed though they stand alone",
        interval=(0.0, 3.0 / trials) if bad == 0 else None,
        goal="none; the interval is the share's, at 95 % (rule of three)",
        holds=bad == 0 and trials >= TRIALS,
        details={
            "counts": {f"{kind}: {what}": count for (kind, what), count in sorted(counts.items())},
            "first_bad_trial": examples,
        },
    )


if __name__ == "__main__":
    main("diff_fuzz", measure, __doc__ or "")
