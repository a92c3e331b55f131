"""Latency distributions: read from what the tools write, merged, and read again.

A histogram is a sorted list of (value in us, count). `weft load --histogram` writes every bucket, and so do the
micro rows about a distribution: a merge loses nothing. `weft hiccup` prints points [percentile, us, cumulative count] only; their differences are
counts of values not above that point, so a percentile of a merge of those errs upwards, by at most the
distance of two points.
"""
import math
import re
from collections import Counter
from collections.abc import Iterable

Histogram = list[tuple[float, int]]
BEYOND = 100  # a percentile with fewer samples beyond it is not printed
PERCENTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999, "p9999": 0.9999}


def from_points(points: Iterable[list[float]], peak: float | None, total: int) -> Histogram:
    """points: [percentile, us, cumulative count], rising; what lies beyond the last one is put at the maximum."""
    histogram: Histogram = []
    before = 0
    for _, value, cumulative in sorted(points, key=lambda p: (p[2], p[1])):
        if cumulative > before:
            histogram.append((value, int(cumulative) - before))
            before = int(cumulative)
    if total > before and peak is not None:
        histogram.append((peak, total - before))
    return histogram


def from_dump(text: str) -> Histogram:
    """The file of `weft load --histogram`: a head, lines of `NS COUNT`, `end`. ValueError when it is not one."""
    head, *lines = text.splitlines() or [""]
    m = re.fullmatch(r"weft-histogram 1 count (\d+) min (\d+) max (\d+)", head)
    if not m or not lines or lines[-1] != "end":
        raise ValueError("not a whole histogram")
    pairs = [line.split() for line in lines[:-1]]
    histogram = [(int(value) / 1e3, int(count)) for value, count in pairs]
    if size(histogram) != int(m[1]):
        raise ValueError("counts do not add up")
    if histogram:
        histogram[-1] = (int(m[3]) / 1e3, histogram[-1][1])
    return histogram


def from_buckets(buckets: Iterable[list[int]]) -> Histogram:
    """What a micro program says of a distribution: [ns, count], rising, the last one at the maximum."""
    return [(int(ns) / 1e3, int(count)) for ns, count in buckets]


def coarse(histogram: Histogram) -> Histogram:
    """The same in steps of 0.4%, for work that merges it many times."""
    def step(value: float) -> float:
        mantissa, exponent = math.frexp(value)
        return math.ldexp(round(mantissa * 256) / 256, exponent)
    return merge([[(step(value), count) for value, count in histogram]])


def merge(histograms: Iterable[Histogram]) -> Histogram:
    counts: Counter[float] = Counter()
    for histogram in histograms:
        for value, count in histogram:
            counts[value] += count
    return sorted(counts.items())


def size(histogram: Histogram) -> int:
    return sum(count for _, count in histogram)


def percentile(histogram: Histogram, q: float) -> float | None:
    """None when fewer than BEYOND samples lie beyond it."""
    total = size(histogram)
    if not total or total * (1 - q) < BEYOND - 1e-6:
        return None
    return _at(histogram, q, total)


def _at(histogram: Histogram, q: float, total: int) -> float:
    want, reached = q * total, 0
    for value, count in histogram:
        reached += count
        if reached >= want - 1e-9:
            return value
    return histogram[-1][0]


def curve(histogram: Histogram) -> list[list[float]]:
    """[percentile, us] for a plot: five points per halving of the distance to 100%, as far as one sample."""
    total = size(histogram)
    points: list[list[float]] = []
    halvings = 0.0
    while total and 2 ** -halvings * total >= 1:
        q = 1 - 2 ** -halvings
        points.append([round(q, 9), float(f"{_at(histogram, q, total):.6g}")])
        halvings += 0.2
    return points
