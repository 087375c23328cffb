"""The generators that there are, by operator. An operator without one is still tried with the compiler's flags."""

from __future__ import annotations

from agents.kernels.generators import Generator, Parameter

WIDTH = Parameter(name="WIDTH", value=16, domain="8 | 16", move="vector_width")
ALONE = Parameter(name="ALONE", value=50_000, domain="1000 .. 10000000 log int", move="threads")
UNROLL = Parameter(name="UNROLL", value=4, domain="1 | 2 | 4 | 8", move="unrolling")
AHEAD = Parameter(name="AHEAD", value=16, domain="0 .. 96 int", move="prefetch")
NEXT = Parameter(name="AHEAD", value=1, domain="0 | 1", move="prefetch")
LINES = Parameter(name="AHEAD", value=8, domain="0 .. 256 int", move="prefetch")
CHUNK = Parameter(name="CHUNK", value=64, domain="8 .. 2048 log int", move="blocking")
STREAM = Parameter(name="STREAM", value=4096, domain="64 .. 1000000 log int", move="layout")
LANES = Parameter(name="LANES", value=32, domain="8 | 16 | 32 | 64", move="unrolling")
LINEAR = Parameter(name="LINEAR", value=16, domain="0 .. 128 int", move="loop_order")
TILE_ROWS = Parameter(name="TILE_ROWS", value=8, domain="2 | 4 | 6 | 8 | 12", move="tiles")
ROWS = Parameter(name="ROWS", value=4, domain="1 | 2 | 4 | 8", move="loop_order")
FEW_COLUMNS = Parameter(name="TILE_COLUMNS", value=8, domain="1 | 2 | 4 | 8", move="tiles")
TILE_COLUMNS = Parameter(name="TILE_COLUMNS", value=2, domain="1 | 2 | 4", move="tiles")
STEPS = Parameter(name="BLOCK", value=32, domain="8 .. 128 log int", move="blocking")
ITEMS = Parameter(name="BLOCK", value=256, domain="64 | 128 | 256 | 512 | 1024", move="blocking")

BAGS = tuple(
    Generator(
        operator=f"embedding_bag_{kind}",
        variant="registers",
        backend="cpp",
        title=f"a bag's {word} stays in registers while its rows stream by",
        mechanism="each row is read once, asked for some ids ahead, and the result is written once",
        moves=("fusion", "prefetch", "vector_width", "threads"),
        parameters=(WIDTH, AHEAD, CHUNK, ALONE),
        parts=("simd.cpp", "bags.cpp"),
    )
    for kind, word in (("sum", "sum"), ("mean", "mean"), ("weighted", "weighted sum"))
)
GENERATORS = (
    *BAGS,
    Generator(
        operator="bucketise",
        variant="lanes",
        backend="cpp",
        title="many rows search among the same edges at once, without a branch",
        mechanism="no branch is guessed wrong, and the loads of all lanes are in flight together",
        moves=("unrolling", "vector_width", "loop_order", "threads"),
        parameters=(LANES, LINEAR, ALONE),
        parts=(),
    ),
    Generator(
        operator="gated_path",
        variant="fused",
        backend="cpp",
        title="one pass with an exponential of whole vectors, large results around the caches",
        mechanism="three inputs are read once and the result's lines are not fetched before they are written",
        moves=("fusion", "layout", "vector_width", "threads"),
        parameters=(WIDTH, UNROLL, STREAM, ALONE),
        parts=("simd.cpp", "streaming.cpp"),
    ),
    Generator(
        operator="hstu_attention",
        variant="tiles",
        backend="cpp",
        title="scores, SiLU and the weighted sum of a block of steps, tile by tile, and nothing of the future",
        mechanism="half of the products are left out and the scores never leave the first cache",
        moves=("tiles", "fusion", "blocking", "layout", "threads"),
        parameters=(WIDTH, TILE_ROWS, TILE_COLUMNS, STEPS, ALONE),
        parts=("simd.cpp", "product.cpp"),
    ),
    Generator(
        operator="interaction_dot",
        variant="tiles",
        backend="cpp",
        title="a row's features are turned on their side once, then multiplied tile by tile below the diagonal",
        mechanism="sums stay in registers, every load serves many products, and half of them are left out",
        moves=("tiles", "layout", "vector_width", "threads"),
        parameters=(WIDTH, TILE_ROWS, TILE_COLUMNS, ALONE),
        parts=("simd.cpp", "product.cpp"),
    ),
    Generator(
        operator="interaction_fm",
        variant="registers",
        backend="cpp",
        title="sums and sums of squares stay in registers while the features stream by",
        mechanism="one read of the input in place of one for the sums and one for the squares",
        moves=("fusion", "prefetch", "tiles", "vector_width", "threads"),
        parameters=(WIDTH, FEW_COLUMNS, LINES, ALONE),
    ),
    Generator(
        operator="jagged_to_dense",
        variant="rows",
        backend="cpp",
        title="a row is one copy and one fill, large results around the caches",
        mechanism="each line is written once and not fetched before",
        moves=("fusion", "layout", "threads"),
        parameters=(WIDTH, STREAM, ALONE),
        parts=("simd.cpp", "streaming.cpp"),
    ),
    Generator(
        operator="rms_norm",
        variant="rows",
        backend="cpp",
        title="a row is read from memory once and normalised from the first cache",
        mechanism="one read and one write of the matrix in place of several passes over it",
        moves=("fusion", "layout", "loop_order", "prefetch", "unrolling", "vector_width", "threads"),
        parameters=(WIDTH, UNROLL, ROWS, NEXT, STREAM, ALONE),
        parts=("simd.cpp", "streaming.cpp"),
    ),
    Generator(
        operator="rms_norm_backward",
        variant="rows",
        backend="cpp",
        title="a row's two sums in one read, both gradients from the first cache",
        mechanism="one read of each input and one write in place of several passes; threads sum for themselves",
        moves=("fusion", "layout", "prefetch", "unrolling", "vector_width", "threads"),
        parameters=(WIDTH, UNROLL, NEXT, STREAM, ALONE),
        parts=("simd.cpp", "streaming.cpp"),
    ),
    Generator(
        operator="top_k",
        variant="threshold",
        backend="cpp",
        title="blocks of the catalogue are scored tile by tile, and few scores pass the worst of the best so far",
        mechanism="scores never go to memory, and a whole vector of them is dismissed at once",
        moves=("tiles", "fusion", "blocking", "threads"),
        parameters=(WIDTH, TILE_ROWS, TILE_COLUMNS, ITEMS, ALONE),
        parts=("simd.cpp", "product.cpp"),
    ),
)


def generators(operator: str) -> tuple[Generator, ...]:
    """Those of one operator."""
    return tuple(generator for generator in GENERATORS if generator.operator == operator)
