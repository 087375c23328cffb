"""The agent's flow as a LangGraph: observe -> think -> code -> verify, and back for a tool or a repair.

Knows the order of the nodes and nothing of what they do. LangGraph is imported here, when a graph is built.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from agents.offline import OfflineAgent

NODES = ("observe", "think", "use_tool", "code", "verify", "repair")


class State(TypedDict):
    """What LangGraph carries from node to node: the turn, one frozen value."""

    turn: Any


def build(agent: OfflineAgent | None) -> Any:
    """The compiled graph over an agent's nodes; without an agent it can be drawn and not run."""
    from langgraph.graph import END, START, StateGraph

    graph = StateGraph(State)
    for name in NODES:
        graph.add_node(name, _node(agent, name))
    graph.add_edge(START, "observe")
    graph.add_edge("observe", "think")
    graph.add_conditional_edges("think", _either(agent, "wants_tool"), {True: "use_tool", False: "code"})
    graph.add_edge("use_tool", "think")
    graph.add_conditional_edges("code", _is_faulty, {True: "repair", False: "verify"})
    graph.add_conditional_edges("verify", _is_faulty, {True: "repair", False: END})
    graph.add_conditional_edges("repair", _either(agent, "may_repair"), {True: "think", False: END})
    return graph.compile()


def _node(agent: OfflineAgent | None, name: str) -> Any:
    def run(state: State) -> State:
        return State(turn=getattr(agent, name)(state["turn"]))

    return run


def _either(agent: OfflineAgent | None, question: str) -> Callable[[State], bool]:
    def answer(state: State) -> bool:
        return bool(getattr(agent, question)(state["turn"]))

    return answer


def _is_faulty(state: State) -> bool:
    return state["turn"].fault is not None
