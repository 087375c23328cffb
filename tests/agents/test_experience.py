"""The index of the history: the same however it was read, and honest about what stands where."""

from __future__ import annotations

from dataclasses import replace

from toy_space import Run, additive, scored, technique, toy_space

from agents.catalog import CatalogProposer
from agents.experience import Experience, read
from agents.stacks import bare, stacked
from evolve.contracts import Edit, Technique

EFFECTS = {0: 0.02, 1: 0.01, 2: -0.02, 3: None, 4: 0.0, 5: 0.015, 6: -0.01, 7: 0.0, 8: None, 9: 0.005}


def _facts(experience: Experience) -> tuple[object, ...]:
    return (
        [parent.candidate.commit for parent in experience.parents],
        experience.effects.mean(),
        experience.used,
        experience.tried,
        experience.moves,
        experience.standing,
    )


def test_following_a_run_gives_what_reading_it_at_once_gives() -> None:
    """After every step, with candidates in flight."""
    space = toy_space(10)
    run = Run(space.seed, additive(EFFECTS), window=4)
    followed = read(space, run.history())
    for _ in range(40):
        assert run.step(CatalogProposer(space=space)) is not None
        history = run.history()
        assert followed.follows(history)
        followed.follow(history)
        assert _facts(followed) == _facts(read(space, history))


def test_another_run_is_not_taken_for_a_continuation() -> None:
    """Neither one of the same length nor a shorter one."""
    space = toy_space(10)
    one, other = Run(space.seed, additive(EFFECTS)), Run(space.seed, additive(EFFECTS))
    for _ in range(5):
        one.step(CatalogProposer(space=space))
        other.step(CatalogProposer(space=space))
    known = read(space, one.history())
    assert not known.follows(other.history())
    assert not known.follows(replace(one.history(), attempts=one.attempts[:3]))


def test_a_proposer_that_changes_runs_proposes_as_a_new_one_does() -> None:
    """What it kept of the first run is of no consequence in the second."""
    space = toy_space(10)
    proposer = CatalogProposer(space=space)
    Run(space.seed, additive(EFFECTS)).play(proposer, 20, seed=1)
    again, fresh = Run(space.seed, additive(EFFECTS)), Run(space.seed, additive(EFFECTS))
    assert again.play(proposer, 20, seed=2) == fresh.play(CatalogProposer(space=space), 20, seed=2)


def test_candidates_that_behave_alike_are_one_parent() -> None:
    """A change that never runs scores the same to the last digit: it is no new place to go on from."""
    space = toy_space(10)
    run = Run(space.seed, lambda tree: scored(0.01))
    run.play(CatalogProposer(space=space), 10)
    assert len(read(space, run.history()).parents) == 2


def _rivals() -> tuple[Technique, Technique]:
    """Two techniques that write the same slot."""
    code = "def part_0():\n    return 2\n"
    other = technique(1, edits=(Edit(path="parts.py", action="replace", anchor="part_0", code=code),))
    return technique(0), other


def test_a_displaced_technique_does_not_stand_any_more() -> None:
    """Two techniques of one slot: the later one is in force."""
    first, second = _rivals()
    space = toy_space(2, techniques=(first, second))
    experience = read(space, Run(space.seed, additive({})).history())
    nothing = bare(experience, experience.parents[0])
    one = stacked(experience, nothing, [first], 1, lambda *_: True)
    two = stacked(experience, one, [second], 2, lambda *_: True)
    assert (one.standing, two.standing) == ({first.name}, {second.name})


def test_a_stack_takes_no_technique_that_its_caller_does_not_accept() -> None:
    """And goes on with the next one, up to the size asked for."""
    first, second = _rivals()
    space = toy_space(4, techniques=(first, second, technique(2), technique(3)))
    experience = read(space, Run(space.seed, additive({})).history())
    kept = stacked(
        experience, bare(experience, experience.parents[0]), space.techniques, 2, lambda _, displaced: not displaced
    )
    assert kept.name == "t0+t2"
