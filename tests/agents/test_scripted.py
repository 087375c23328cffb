"""The proposer that plays a list."""

from __future__ import annotations

from toy_space import Run, additive, toy_space

from agents.scripted import ScriptedProposer
from evolve.contracts import Move, Persona, Proposal


def _proposal(text: str) -> Proposal:
    return Proposal(
        parents=(),
        files={"parts.py": text},
        hypothesis="h",
        mechanism="m",
        observable=None,
        persona=Persona.OPTIMIZER,
        move=Move.EXPLORE,
        technique="t",
        proposer="scripted",
    )


def test_steps_are_played_in_order_then_none() -> None:
    """Proposal number n is step n - 1; one without parents changes the seed; a function sees the history."""
    run = Run(toy_space(1).seed, additive({}))
    steps = [_proposal("x = 1\n"), lambda history: _proposal(f"x = {history.number}\n")]
    made = run.play(ScriptedProposer(steps=steps), 5)
    assert [p.files["parts.py"] for p in made] == ["x = 1\n", "x = 2\n"]
    assert [p.parents for p in made] == [("c0",), ("c0",)]
