"""Exact bounds of a share (Clopper and Pearson 1934)."""

from __future__ import annotations


def upper(found: int, of: int, confidence: float = 0.95) -> float:
    """One-sided upper bound of the share behind `found` of `of`."""
    from scipy import stats

    return 1.0 if found >= of else float(stats.beta.ppf(confidence, found + 1, of - found))


def lower(found: int, of: int, confidence: float = 0.95) -> float:
    """One-sided lower bound of the share behind `found` of `of`."""
    from scipy import stats

    return 0.0 if found == 0 else float(stats.beta.ppf(1.0 - confidence, found, of - found + 1))


def both(found: int, of: int, confidence: float = 0.95) -> tuple[float, float]:
    """The two-sided interval of the share behind `found` of `of`."""
    side = 1.0 - (1.0 - confidence) / 2
    return lower(found, of, side), upper(found, of, side)
