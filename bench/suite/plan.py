"""How long everything may take, and how long each run therefore lasts.

A mode has a limit (none for --full). The plan sums what the runs want; when that is more than the limit
allows, measured times shrink in proportion, never below FLOOR of themselves. The plan is made anew before
each row from the time that is left, so that a slow machine shortens runs and in the end leaves rows out,
and says so, but keeps the limit.
"""
import time
from dataclasses import dataclass

from suite.rows import Row
from suite.server import REALTIME_WARMUP_S, realtime_pieces

LIMIT_S = {"quick": 109.0, "default": 690.0, "full": None}
ROUNDS = {"quick": 5, "default": 5, "full": 7}
WARMUP_S = {"quick": 0.12, "default": 0.3, "full": 0.5}
MIN_ROUNDS = 5
SHRINK_FLOOR = 0.5


@dataclass
class Plan:
    mode: str
    rounds: int
    began: float  # time.monotonic()
    rows: list[tuple[Row, int]]  # with the number of runs in a round
    slack: float = 1.0  # how long rows really took, over what was estimated

    @property
    def limit(self) -> float | None:
        return LIMIT_S[self.mode]


def warmup(row: Row, mode: str) -> float:
    return WARMUP_S[mode] if row.kind == "load" else 0.0


def measured(row: Row, mode: str, scale: float) -> float:
    """Seconds of one run's measured time."""
    return row.seconds[mode] * (1.0 if row.firm else scale)


def cost(row: Row, runs: int, rounds: int, mode: str, scale: float = 1.0) -> float:
    """Estimated seconds of a whole row."""
    seconds = measured(row, mode, scale)
    before = warmup(row, mode) + row.setup
    if row.realtime:
        before = realtime_pieces(seconds) * (REALTIME_WARMUP_S + row.setup)
    return rounds * runs * (seconds + before + 0.02)


def estimate(plan: Plan) -> float:
    whole = sum(cost(row, runs, plan.rounds, plan.mode) for row, runs in plan.rows)
    return whole if plan.limit is None else min(whole, plan.limit)


def scale(plan: Plan, at: int) -> float:
    """By what the measured times of row number `at` and the following are to be multiplied; 0: leave it out."""
    if plan.limit is None:
        return 1.0
    left = plan.limit - (time.monotonic() - plan.began)
    rest = plan.rows[at:]
    fixed = sum(cost(row, runs, plan.rounds, plan.mode, 0.0) for row, runs in rest) * plan.slack
    wanted = sum(cost(row, runs, plan.rounds, plan.mode) for row, runs in rest) * plan.slack - fixed
    factor = 1.0 if wanted <= 0 else (left - fixed) / wanted
    row, runs = rest[0]
    if left < cost(row, runs, plan.rounds, plan.mode, SHRINK_FLOOR) * plan.slack:
        return 0.0
    return min(1.0, max(SHRINK_FLOOR, factor))


def learn(plan: Plan, row: Row, runs: int, factor: float, took: float) -> None:
    """A row has taken so long: later estimates are corrected, a quarter of the way at a time."""
    expected = cost(row, runs, plan.rounds, plan.mode, factor)
    if runs and expected > 1:
        plan.slack += 0.25 * (min(4.0, max(0.5, took / expected)) - plan.slack)
