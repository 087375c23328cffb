"""The search over kernels: which node grows, what is done to it, and when it ends."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from agents.kernels.generators import TOML, made_by
from agents.kernels.graph import Node, greedy, read_graph, uct
from agents.kernels.knowledge import Bound, read_index
from agents.kernels.operator import diagnosis_of, retrieve
from agents.kernels.proposer import KernelProposer
from agents.kernels.table import GENERATORS, generators
from agents.tunables import find
from evolve.contracts import Attempt, Candidate, Failed, History, NoiseFloor, Scored, Waiting
from evolve.errors import BudgetExhausted, UsageError

KNOWLEDGE = Path(__file__).resolve().parents[3] / "kernels" / "knowledge"
SEED = {"kernel.cpp": "void kernel() {}\n", TOML: 'backend = "cpp"\nflags = ["-O2"]\n'}
FLOOR = NoiseFloor(
    metric="log2_speed", score=0.0, short_score=0.0, seed_sd=0.01, paired_se=0.01, minimum_effect=0.05, seeds=2, cpu_s=1
)


class Scene:
    """A run in which a function of the tree is the measured speed."""

    def __init__(self, speed, roofline=lambda tree: 0.3, bound="memory"):
        self.speed, self.roofline, self.bound = speed, roofline, bound
        self.seed = self.candidate(0, SEED, ())
        self.attempts: list[Attempt] = []
        self.pending: list[Waiting] = []

    @staticmethod
    def candidate(number, tree, parents):
        name = hashlib.sha256(repr(sorted(tree.items())).encode()).hexdigest()
        return Candidate(number=number, commit=name, parents=parents, tree=tree, fingerprint=name)

    def history(self):
        known = [self.seed, *(a.candidate for a in self.attempts), *(w.candidate for w in self.pending)]
        return History(
            number=len(known),
            seed=self.seed,
            champion=self.seed,
            floor=FLOOR,
            attempts=self.attempts,
            pending=self.pending,
            tried=lambda tree: any(c.tree == tree for c in known),
        )

    def next(self, proposer):
        history = self.history()
        proposal = proposer.propose(history, 7)
        if proposal is None:
            return None
        trees = {c.commit: c.tree for c in [self.seed, *(a.candidate for a in self.attempts)]}
        tree = {**trees[proposal.parents[0]], **proposal.files}
        return self.candidate(history.number, tree, proposal.parents), proposal

    def step(self, proposer):
        made = self.next(proposer)
        if made is None:
            return None
        candidate, proposal = made
        self.attempts.append(Attempt(candidate=candidate, proposal=proposal, outcome=self.outcome(candidate.tree)))
        return proposal

    def outcome(self, tree):
        speed = self.speed(tree)
        if speed == 0:
            return Failed(rung="smoke", reason="wrong", detail="", cpu_s=0.1)
        return Scored(
            rung="full",
            score=speed,
            gain=speed,
            standard_error=0.01,
            seeds=1,
            metrics={},
            cpu_s=1,
            verdict=None,
            observables={"roofline": self.roofline(tree), f"{self.bound}_bound": 1.0},
            promising=True,
        )


def proposer(operator="embedding_bag_sum", policy="uct"):
    return KernelProposer(operator=operator, knowledge=KNOWLEDGE, policy=policy)


def ahead(tree):
    values = find({TOML: tree[TOML]}).values
    return values.get(f"{TOML}::AHEAD")


def prefers_prefetch(tree):
    """A world in which prefetching forty rows ahead is best."""
    found = ahead(tree)
    return 0.1 if found is None else 2.0 - abs(found - 40) / 40


@pytest.mark.parametrize("policy", ["greedy", "uct"])
def test_generators_come_first_then_flags_and_numbers_and_all_trees_are_new(policy):
    scene, made = Scene(prefers_prefetch), proposer(policy=policy)
    proposals = [scene.step(made) for _ in range(25)]
    known = [g.name for g in generators("embedding_bag_sum")]
    assert sorted(p.technique for p in proposals[: len(known)]) == sorted(known)
    assert {p.technique.partition(".")[0] for p in proposals} <= {"embedding_bag_sum", "tune", "flags"}
    assert len({a.candidate.commit for a in scene.attempts}) == 25


@pytest.mark.parametrize("policy", ["greedy", "uct"])
def test_numbers_move_to_what_is_fast(policy):
    scene, made = Scene(prefers_prefetch), proposer(policy=policy)
    for _ in range(40):
        scene.step(made)
    best = max(scene.attempts, key=lambda a: a.outcome.score)
    assert abs(ahead(best.candidate.tree) - 40) < 12


def test_the_same_history_and_seed_give_the_same_proposals():
    runs = []
    for _ in range(2):
        scene, made = Scene(prefers_prefetch), proposer()
        runs.append([scene.step(made) for _ in range(12)])
    assert runs[0] == runs[1]


def test_a_pending_candidate_is_never_proposed_again():
    scene, made = Scene(prefers_prefetch), proposer()
    for _ in range(4):
        candidate, proposal = scene.next(made)
        assert candidate.tree not in [w.candidate.tree for w in scene.pending]
        scene.pending.append(Waiting(candidate=candidate, proposal=proposal))


def test_the_diagnosis_decides_which_numbers_are_tuned():
    counts = {}
    for bound in ("memory", "compute"):
        scene, made = Scene(lambda tree: 1.0, bound=bound), proposer(policy="greedy")
        proposals = [scene.step(made) for _ in range(20)]
        tunes = [p for p in proposals if p.technique == "tune"]
        assert all(f"{bound} bound" in p.mechanism for p in tunes[1:])
        counts[bound] = sum("prefetch" in p.mechanism.partition(" (")[0] for p in tunes)
    assert counts["memory"] > counts["compute"]


def test_a_diagnosis_fetches_cards_and_they_are_named_in_the_mechanism():
    node = Node(candidate=Scene.candidate(0, SEED, ()), proposal=None, fitness=1.0, observables={"memory_bound": 0.7})
    context = retrieve(KNOWLEDGE, read_index(KNOWLEDGE), node, "embedding bag gather")
    assert diagnosis_of(node) is Bound.MEMORY
    assert "prefetch_gathers" in [card.entry.name for card in context.cards]
    assert "prefetch_gathers" in context.reason(["prefetch"])


def test_what_is_wrong_has_no_fitness_and_is_never_grown():
    scene, made = Scene(lambda tree: 0 if made_by(tree) else 1.0), proposer()
    while scene.step(made):
        pass
    trees = {a.candidate.commit: a.candidate.tree for a in scene.attempts}
    assert not [a for a in scene.attempts if made_by(trees.get(a.candidate.parents[0], SEED))]
    nodes = read_graph(scene.history())
    wrong = [node for node in nodes if node.proposal and made_by(node.candidate.tree)]
    assert wrong and all(node.fitness == 0 for node in wrong)


def test_uct_visits_a_neglected_line_and_greedy_never_does():
    def node(number, fitness, children=()):
        proposal = None if number == 0 else object()
        made = Node(
            candidate=Scene.candidate(number, {"n": str(number)}, ()),
            proposal=proposal,
            fitness=fitness,
            observables={},
        )
        made.children.extend(children)
        return made

    crowd = [node(10 + i, 1.5) for i in range(40)]
    fast, neglected = node(1, 2.0, crowd), node(2, 1.6)
    nodes = [node(0, 1.0, [fast, neglected]), fast, neglected, *crowd]
    assert greedy(nodes)[0] is fast
    assert uct(nodes)[0] is not fast


def test_a_kernel_at_the_roofline_ends_the_run_with_a_line():
    scene, made = Scene(lambda tree: 3.0, roofline=lambda tree: 0.96), proposer()
    scene.step(made)
    with pytest.raises(BudgetExhausted, match="#1 reaches 96% of the measured roofline"):
        made.propose(scene.history(), 7)


def test_a_search_that_stalls_ends_with_a_line():
    scene, made = Scene(lambda tree: 0.5), proposer()
    with pytest.raises(BudgetExhausted, match="stalled: 30 candidates in a row"):
        for _ in range(40):
            scene.step(made)


def test_an_operator_without_generators_is_tried_with_the_compilers_flags_alone():
    scene, made = Scene(lambda tree: 0.5), proposer(operator="nobody_knows_it")
    proposals = [scene.step(made) for _ in range(5)]
    assert all(p is None or p.technique.startswith("flags.") for p in proposals)
    assert proposals[0] is not None


def test_an_unknown_policy_is_a_clear_error():
    with pytest.raises(UsageError, match="no selection policy `best`"):
        proposer(policy="best")


def test_every_generator_declares_numbers_that_can_be_read_and_names_itself():
    for generator in GENERATORS:
        tree = generator.files()
        assert made_by(tree) == generator.name
        assert not find({TOML: tree[TOML]}).faults
        assert {t.key for t in generator.tunables} == {f"{TOML}::{p.name}" for p in generator.parameters}
