"""The recommender: a user's recent items become one vector, and every item of the catalogue is scored against it.

Sequences are padded on the right with the number `catalogue.items`, so that a causal encoder never looks at
padding from a real position. Shapes: B sequences, L positions, D = WIDTH, N rows of states, I items.
"""

import torch
from torch import Tensor, nn

WIDTH = 64  # tunable: 16 .. 128 log int
LAYERS = 1  # tunable: 1 .. 3 int
INITIAL_SCALE = 0.1  # tunable: 0.005 .. 0.5 log


class ItemTable(nn.Module):
    """The vectors of the items, as they are read in a history and as they are scored against."""

    def __init__(self, catalogue):
        super().__init__()
        self.vectors = nn.Embedding(catalogue.items + 1, WIDTH, padding_idx=catalogue.items)
        nn.init.normal_(self.vectors.weight[:-1].detach(), std=INITIAL_SCALE)

    def forward(self, items: Tensor) -> Tensor:
        """Items (B, L) -> (B, L, D)."""
        return self.vectors(items)

    def output(self) -> Tensor:
        """The vectors to score against, (I, D)."""
        return self.vectors.weight[:-1]

    def observables(self) -> dict[str, float]:
        """The mean length of the items' vectors."""
        return {"embedding_norm": float(self.output().detach().norm(dim=1).mean())}


class Positions(nn.Module):
    """What a place in the sequence adds to an item's vector. Here: nothing."""

    def __init__(self, window: int):
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        """(B, L, D) -> (B, L, D)."""
        return x


class Intervals(nn.Module):
    """What the time since the event before adds. Here: nothing."""

    def forward(self, x: Tensor, gaps: Tensor) -> Tensor:
        """(B, L, D) and log(1 + seconds) of shape (B, L) -> (B, L, D)."""
        return x


class Corruption(nn.Module):
    """What is done to the input in training alone. Here: nothing."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, L, D) -> (B, L, D)."""
        return x


class Mixer(nn.Module):
    """How a position learns of the positions before it. Here: the mean of all vectors up to it."""

    def forward(self, x: Tensor, gaps: Tensor) -> Tensor:
        """(B, L, D) -> (B, L, D); position t may depend on positions up to t alone."""
        counts = torch.arange(1, x.shape[1] + 1, dtype=x.dtype)
        return x.cumsum(dim=1) / counts[:, None]


class Layer(nn.Module):
    """One step of the encoder around an inner module. Here: the inner module alone."""

    def __init__(self, inner: nn.Module):
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor, gaps: Tensor) -> Tensor:
        """(B, L, D) -> (B, L, D)."""
        return self.inner(x, gaps)


def block() -> list[nn.Module]:
    """The inner modules of one block of the encoder, in order."""
    return [Mixer()]


class Head(nn.Module):
    """What turns the last layer into the state that is scored. Here: nothing."""

    def forward(self, x: Tensor, embedded: Tensor) -> Tensor:
        """The encoder's output and its input, both (B, L, D) -> (B, L, D)."""
        return x


def dot(states: Tensor, vectors: Tensor) -> Tensor:
    """States (N, D) with vectors (K, D) for all of them, or (N, K, D) for each -> (N, K)."""
    if vectors.dim() == 2:
        return states @ vectors.T
    return (vectors @ states[:, :, None]).squeeze(-1)


class Scorer(nn.Module):
    """How a state meets an item's vector. Here: the dot product."""

    def __init__(self, catalogue):
        super().__init__()

    def forward(self, states: Tensor, vectors: Tensor, items: Tensor) -> Tensor:
        """States (N, D) and items (K,) or (N, K) with their vectors -> (N, K)."""
        return dot(states, vectors)


class Model(nn.Module):
    """Table, input signals, encoder, head and scorer in a row."""

    def __init__(self, catalogue, window: int):
        super().__init__()
        self.catalogue = catalogue
        self.padding = catalogue.items
        self.table = ItemTable(catalogue)
        self.positions = Positions(window)
        self.intervals = Intervals()
        self.corruption = Corruption()
        self.layers = nn.ModuleList(Layer(inner) for _ in range(LAYERS) for inner in block())
        self.head = Head()
        self.scorer = Scorer(catalogue)
        self.notes = {}

    def forward(self, items: Tensor, gaps: Tensor) -> Tensor:
        """Items (B, L) and gaps (B, L) -> states (B, L, D), each from the positions up to it."""
        embedded = self.corruption(self.intervals(self.positions(self.table(items)), gaps))
        x = embedded
        for layer in self.layers:
            x = layer(x, gaps)
        return self.head(x, embedded)

    def scores(self, states: Tensor) -> Tensor:
        """States (N, D) -> a score for every item, (N, I)."""
        return self.scorer(states, self.table.output(), torch.arange(self.catalogue.items))

    def scores_of(self, states: Tensor, items: Tensor) -> Tensor:
        """States (N, D) and items, (K,) for all of them or (N, K) for each -> (N, K)."""
        return self.scorer(states, self.table.output()[items], items)

    def observables(self) -> dict[str, float]:
        """What other files noted of the training; every module may have a method of this name."""
        return self.notes


def build_model(catalogue, window: int) -> nn.Module:
    """The model for a catalogue; `catalogue` has `items`, `users`, `counts` (Tensor (I,)), `log` and `offsets`."""
    return Model(catalogue, window)
