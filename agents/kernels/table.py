"""The generators that there are, by operator. An operator without one is still tried with the compiler's flags."""

from __future__ import annotations

from agents.kernels.generators import Generator, Parameter

WIDTH = Parameter(name="WIDTH", value=16, domain="8 | 16", move="vector_width")
ALONE = Parameter(name="ALONE", value=50_000, domain="1000 .. 10000000 log int", move="threads")
UNROLL = Parameter(name="UNROLL", value=4, domain="1 | 2 | 4 | 8", move="unrolling")
AHEAD = Parameter(name="AHEAD", value=16, domain="0 .. 96 int", move="prefetch")
CHUNK = Parameter(name="CHUNK", value=64, domain="8 .. 2048 log int", move="blocking")

GENERATORS = (
    Generator(
        operator="embedding_bag_sum",
        variant="registers",
        backend="cpp",
        title="a bag's sum stays in registers while its rows stream by",
        mechanism="each row is read once, asked for some ids ahead, and the sum is written once",
        moves=("fusion", "prefetch", "vector_width", "threads"),
        parameters=(WIDTH, AHEAD, CHUNK, ALONE),
    ),
    Generator(
        operator="rms_norm",
        variant="rows",
        backend="cpp",
        title="a row is read from memory once and normalised from the first cache",
        mechanism="one read and one write of the matrix in place of several passes over it",
        moves=("fusion", "unrolling", "vector_width", "threads"),
        parameters=(WIDTH, UNROLL, ALONE),
    ),
)


def generators(operator: str) -> tuple[Generator, ...]:
    """Those of one operator."""
    return tuple(generator for generator in GENERATORS if generator.operator == operator)
