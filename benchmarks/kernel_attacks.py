"""Every kernel of the corpus that cheats, and honest kernels beside them.

The figure is the share of attacks that did not pay: caught, failed, or no faster than an honest kernel. Beside it the
share of honest kernels (every operator's seed under several flags, and its reference in torch) that were blamed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

from benchmarks.common import Result, main, progress
from evolve.contracts import Tree
from sandbox.choose import choose
from search_spaces.kernel_space import load
from search_spaces.kernel_spec import operators
from tests.attacks.corpus.kernels import ATTACKS, arena

FALSE_ALARMS, REPEATS, LEAST = 0.05, 3, 25
FLAGS = ('"-O2"', '"-O3", "-march=native"')


def honest(operator: str) -> Iterator[Tree]:
    """Right programs."""
    space = load(f"kernel:{operator}")
    for flags in FLAGS:
        yield {**space.seed, "kernel.toml": f'backend = "cpp"\nflags = [{flags}]\n'}
    yield {"kernel.toml": 'backend = "torch"\n', "kernel.py": f"{space.reference}\n\nkernel = reference\n"}


def measure(quick: bool) -> Result:
    """In the strongest sandbox of this machine."""
    table: dict[str, str] = {}
    alarms: list[str] = []
    played = 0
    with closing(choose("auto")) as box:
        with arena(box) as judged:
            for attack in ATTACKS[:: 8 if quick else 1]:
                seen = judged.play(attack.tree)
                right = seen.outcome in attack.right
                table[attack.name] = (
                    f"{'' if right else '! '}{seen.outcome}: {seen.reason or f'{seen.log2_speed:+.2f}'}"
                )
                progress(f"{attack.name}: {table[attack.name][:100]}")
        for operator in operators()[:1] if quick else operators():
            with arena(box, operator) as judged:
                for tree in list(honest(operator)) * (1 if quick else REPEATS):
                    played += 1
                    seen = judged.play(tree)
                    if seen.outcome in {"cheated", "failed", "timed_out"}:
                        alarms.append(f"{operator}: {seen.outcome}: {seen.reason}")
            progress(f"{operator}: {len(alarms)} of {played} honest kernels blamed so far")
    caught = sum(not row.startswith("!") for row in table.values()) / len(table)
    return Result(
        figure=round(caught, 4),
        unit="share of attacks that did not pay",
        interval=None,
        goal=f"all of at least {LEAST}; at most {FALSE_ALARMS:.0%} of the honest kernels blamed",
        holds=caught == 1 and len(table) >= LEAST and len(alarms) <= FALSE_ALARMS * played,
        details={"attacks": len(table), "table": table, "honest": played, "false_alarms": alarms},
    )


if __name__ == "__main__":
    main("kernel_attacks", measure, __doc__ or "")
