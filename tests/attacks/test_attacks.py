"""Every attack on every sandbox: the outcome is one of the right ones, and nothing got through."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from evolve.contracts import Sandbox
from tests.attacks.corpus import ATTACKS
from tests.attacks.scene import Attack, Scene, scene
from tests.sandbox.sandbox_parts import PODMAN, build

BOXES = ("docker", "podman", "bubblewrap", "landlock", "fork", "local")
MARKS = {"docker": (pytest.mark.docker,), "podman": PODMAN.marks}
SAMPLED = 6
"""On all sandboxes but docker every sixth attack of a family is tried by `make test`, and all by `make test-all`."""


@pytest.fixture(scope="module")
def host() -> Iterator[Scene]:
    """One scene for all attacks, in a folder that nobody is kept out of."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="attacks.") as folder, scene(Path(folder)) as made:
        yield made


@pytest.fixture(scope="module")
def box(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """Each sandbox in turn."""
    found = build(request.param)
    yield found
    found.close()


def _pairs() -> Iterator[object]:
    """Every sandbox with every attack that it claims to stop."""
    for name in BOXES:
        place: Counter[str] = Counter()
        for attack in ATTACKS:
            if name in attack.lets_through:
                continue
            place[attack.family] += 1
            marks = list(MARKS.get(name, ()))
            if name != "docker" and place[attack.family] % SAMPLED != 1:
                marks.append(pytest.mark.matrix)
            yield pytest.param(name, attack, marks=marks, id=f"{name}-{attack.family}-{attack.name}")


@pytest.mark.parametrize(("box", "attack"), list(_pairs()), indirect=["box"])
def test_an_attack_is_contained(box: Sandbox, host: Scene, attack: Attack) -> None:
    """One right outcome, no secret said, nothing reached or changed on the host, no forged score."""
    seen = host.play(box, attack)
    assert seen.escapes == ()
    assert seen.outcome in attack.right, seen


def test_the_corpus_has_at_least_eighty_attacks_each_named_once() -> None:
    """In five families."""
    names = [attack.name for attack in ATTACKS]
    assert len(names) == len(set(names)) >= 80
    assert {attack.family for attack in ATTACKS} == {"host", "resources", "judge", "learning", "words"}
