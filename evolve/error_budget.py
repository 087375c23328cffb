"""The budget of error of a run's promotions: how much each look at the confirmation users may spend."""

ALPHA = 0.05
"""The chance, over the whole run, of promoting anything that is not better."""
SHARE = 0.1
"""Each look at the confirmation split may spend this share of the budget that is left."""


def alpha_of(looks: int) -> float:
    """The level of the next look when `looks` were taken: a geometric series that sums to `ALPHA`."""
    return ALPHA * SHARE * (1 - SHARE) ** looks
