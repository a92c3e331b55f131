"""Medians, bootstrap intervals, ratios paired by round, and what may be called a win.

Peers are interleaved: in round k each did the same work within the same minute, so the ratio of two
peers in round k is free of what drifts between rounds. The figure is the median of those ratios; its
interval is the 95% percentile interval of 4000 seeded resamples of the rounds. With few rounds the
resamples repeat (126 different ones of five), so each is computed once.
"""
import functools
import random
from collections import Counter
from collections.abc import Callable, Sequence
from statistics import median

RESAMPLES = 4000
SEED = 20240229


@functools.lru_cache
def resamples(n: int) -> Counter[tuple[int, ...]]:
    """Resampled indices of n rounds, sorted, and how often each came up."""
    rng = random.Random(SEED * 1000 + n)
    return Counter(tuple(sorted(rng.randrange(n) for _ in range(n))) for _ in range(RESAMPLES))


def interval(n: int, estimate: Callable[[tuple[int, ...]], float | None]) -> tuple[float, float] | None:
    """The 95% interval of `estimate` over resampled indices of n rounds; None where it cannot be had."""
    if n < 2:
        return None
    counted = [(estimate(indices), times) for indices, times in resamples(n).items()]
    values = [(value, times) for value, times in counted if value is not None]
    if len(values) < len(counted):
        return None
    values.sort()
    return _quantile(values, 0.025), _quantile(values, 0.975)


def _quantile(values: list[tuple[float, int]], q: float) -> float:
    """values: sorted, with their counts."""
    reached, want = 0, q * sum(times for _, times in values)
    for value, times in values:
        reached += times
        if reached >= want:
            return value
    return values[-1][0]


def summary(rounds: Sequence[float]) -> dict[str, float | None]:
    """Median and interval of the median."""
    if not rounds:
        return {"median": None, "low": None, "high": None}
    low_high = interval(len(rounds), lambda ix: median(rounds[i] for i in ix))
    return {"median": median(rounds), "low": low_high[0] if low_high else None,
            "high": low_high[1] if low_high else None}


def paired(ours: Sequence[float | None], theirs: Sequence[float | None]) -> dict | None:
    """ours/theirs by round. Rounds in which either has no figure are left out; fewer than two: None."""
    ratios = [a / b for a, b in zip(ours, theirs) if a is not None and b]
    if len(ratios) < 2:
        return None
    return {**summary(ratios), "rounds": ratios}


def verdict(ratio: dict | None, better: str) -> str:
    """win, tie or LOST of whoever is on top of the fraction; `better`: lower or higher."""
    if not ratio or ratio["low"] is None:
        return ""
    if ratio["low"] <= 1 <= ratio["high"]:
        return "tie"
    return "win" if (ratio["high"] < 1) == (better == "lower") else "LOST"


def drop_none(values: Sequence[float | None]) -> list[float]:
    return [v for v in values if v is not None]
