"""What may be said of settings that were run in rounds: which measures differ, which pairs do, who is on the frontier.

Figures are compared on a logarithmic scale, as effect of the setting + effect of the round + noise.

A measure differs when a permutation test says so: were the settings all alike, the figures of a round could have come to
them in any order. Each figure, less its round's median, is ranked among all; the statistic is the spread of the settings'
mean ranks. Sampling stops as soon as the answer is clear (Besag and Clifford, 1991). Over the measures the level is shared
by Holm's method.

A pair differs in such a measure when the simultaneous interval of its ratio leaves out 1: the largest studentised
difference of any pair is drawn from the residuals, widened for what the fit has taken from them. One setting dominates
another when it is better in a measure and worse in none, by these intervals. Such ties are not transitive, so
settings may dominate each other in a circle; those stand beside each other.
"""
import itertools
import math
import random
from dataclasses import dataclass, field
from statistics import fmean, median

from tune.measure import ALL, TAILS, Measure
from tune.setting import Setting

MIN_RUNS = 3  # good ones, of a setting that is judged
NARROWING_LEVEL = 0.01  # spent when the settings are chosen that get more rounds
FINAL_LEVEL = 0.035  # spent at the end; together less than 5%
DRAWS, ENOUGH, PEAKS = 4000, 20, 1000
ROUNDING = 1e-9  # figures without noise that are the same must not differ by how they were added up
assert NARROWING_LEVEL + FINAL_LEVEL < 0.05
assert DRAWS * NARROWING_LEVEL / 3 > 10  # the least level that Holm asks for can be told

Table = dict[Setting, dict[int, float]]  # by round


def table_of(runs: list[dict], key: str) -> Table:
    """Good runs only; round 0 looks for limits, and is not judged."""
    table: Table = {}
    for run in runs:
        value = run.get("figures", {}).get(key)
        if run["round"] > 0 and value is not None:
            table.setdefault(Setting(run["gogc"], run["limit"]), {})[run["round"]] = value
    return table


def objectives(runs: list[dict]) -> list[Measure]:
    """Throughput, resident memory and the tail, as far as they are reported by all that are judged."""
    counted = {key: table_of(runs, key) for key in ("rss", "throughput", *TAILS)}
    judged = [one for one, values in counted["rss"].items() if len(values) >= MIN_RUNS]

    def whole(key: str) -> bool:
        return bool(counted[key]) and all(len(counted[key].get(one, {})) >= MIN_RUNS for one in judged)
    tail = next((key for key in TAILS if whole(key)), None)
    return [ALL[key] for key in ("throughput", "rss", tail) if key and whole(key)]


def _ranks(values: list[float]) -> list[float]:
    """From 1, ties shared."""
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks, at = [0.0] * len(values), 0
    while at < len(order):
        end = at
        while end < len(order) and math.isclose(values[order[end]], values[order[at]], rel_tol=0, abs_tol=1e-12):
            end += 1
        for i in order[at:end]:
            ranks[i] = (at + 1 + end) / 2
        at = end
    return ranks


def _aligned_ranks(logs: Table) -> list[tuple[list[Setting], list[float]]]:
    """Of each round: its settings, and the ranks of their figures less the round's mean rank."""
    rounds = sorted({r for values in logs.values() for r in values})
    blocks = [[one for one in logs if r in logs[one]] for r in rounds]
    centres = [median(logs[one][r] for one in block) for r, block in zip(rounds, blocks)]
    ranks = iter(_ranks([logs[one][r] - c for r, block, c in zip(rounds, blocks, centres) for one in block]))
    found = []
    for block in blocks:
        own = [next(ranks) for _ in block]
        middle = fmean(own)
        if len(block) > 1:
            found.append((block, [rank - middle for rank in own]))
    return found


def _spread(blocks: list[tuple[list[Setting], list[float]]], at: dict[Setting, int], counts: list[int]) -> float:
    sums = [0.0] * len(counts)
    for block, ranks in blocks:
        for one, rank in zip(block, ranks):
            sums[at[one]] += rank
    return sum(s * s / n for s, n in zip(sums, counts) if n)


def p_value(table: Table, rng: random.Random) -> float:
    """Of no difference between the settings: exact where the orders are few."""
    blocks = _aligned_ranks({one: {r: math.log(v) for r, v in values.items()} for one, values in table.items()})
    at = {one: i for i, one in enumerate(table)}
    counts = [sum(one in block for block, _ in blocks) for one in table]
    settings, ranks = [block for block, _ in blocks], [own for _, own in blocks]
    least = _spread(blocks, at, counts) - 1e-9
    if math.prod(math.factorial(len(own)) for own in ranks) <= DRAWS:
        ways = itertools.product(*map(itertools.permutations, ranks))
        return fmean(_spread(list(zip(settings, way)), at, counts) >= least for way in ways)
    reached = 0
    for draws in range(1, DRAWS + 1):
        reached += _spread([(block, rng.sample(own, len(own))) for block, own in blocks], at, counts) >= least
        if reached == ENOUGH:
            return reached / draws
    return (reached + 1) / (DRAWS + 1)


def least_p(table: Table) -> float:
    """The least p-value that so many rounds could give: with few of them nothing can be told."""
    blocks = [sum(r in values for values in table.values()) for r in {r for values in table.values() for r in values}]
    ways = math.prod(math.factorial(n) for n in blocks) // math.factorial(max(blocks, default=1))
    return 1 / max(1, ways)


@dataclass
class Fit:
    effects: dict[Setting, float]
    counts: dict[Setting, int]
    noise: list[float]  # residuals, widened by what the fit has taken

    @property
    def spread(self) -> float:
        return math.sqrt(fmean(v * v for v in self.noise))


def fit(table: Table) -> Fit | None:
    """None where nothing is left to tell the noise from."""
    logs = {one: {r: math.log(v) for r, v in values.items()} for one, values in table.items()}
    rounds = {r: 0.0 for values in logs.values() for r in values}
    effects: dict[Setting, float] = {}
    for _ in range(50):
        effects = {one: fmean(v - rounds[r] for r, v in values.items()) for one, values in logs.items()}
        rounds = {r: fmean(values[r] - effects[one] for one, values in logs.items() if r in values) for r in rounds}
    residuals = [v - effects[one] - rounds[r] for one, values in logs.items() for r, v in values.items()]
    free = len(residuals) - len(effects) - len(rounds) + 1
    if free < 1:
        return None
    widen = math.sqrt(len(residuals) / free)
    return Fit(effects, {one: len(values) for one, values in logs.items()}, [widen * v for v in residuals])


def _peak(found: Fit, rng: random.Random) -> float:
    """The largest studentised difference of settings that are alike, in one draw. The noise is told anew from each draw, as
    it had to be told from the runs; a draw of nearly equal residuals does not count as one without noise."""
    means, within = [], 0.0
    for n in found.counts.values():
        drawn = rng.choices(found.noise, k=n)
        mean = sum(drawn) / n
        within += sum(v * v for v in drawn) - n * mean * mean
        means.append((mean, n))
    means.sort()
    spread = max(math.sqrt(max(0.0, within) / max(1, sum(found.counts.values()) - len(means))), found.spread / 4)
    if len({n for _, n in means}) == 1:
        return (means[-1][0] - means[0][0]) / math.sqrt(2 / means[0][1]) / spread
    return max((b - a) / math.sqrt(1 / n + 1 / m) for (a, n), (b, m) in itertools.combinations(means, 2)) / spread


def _critical(found: Fit, level: float, rng: random.Random) -> float:
    """What the largest difference of alike settings exceeds with probability `level`, for one run of each."""
    if not found.spread:
        return 0.0
    peaks = sorted(_peak(found, rng) for _ in range(PEAKS))
    return found.spread * peaks[min(PEAKS - 1, math.ceil(PEAKS * (1 - level)))]


@dataclass
class Verdict:
    """Of one measure over all settings that are judged."""
    measure: Measure
    p: float
    differs: bool = False
    too_few: bool = False  # so many rounds could not tell
    pairs: dict[tuple[Setting, Setting], tuple[float, float]] = field(default_factory=dict)  # interval of first / second

    def better(self, one: Setting, other: Setting) -> int:
        """1: surely better; -1: surely worse; 0: a tie."""
        low, high = self.pairs.get((one, other), (1.0, 1.0))
        return (low > 1) * self.measure.sign - (high < 1) * self.measure.sign if self.differs else 0


def _pairs(table: Table, level: float, rng: random.Random) -> dict[tuple[Setting, Setting], tuple[float, float]]:
    found = fit(table)
    if not found:
        return {}
    critical, pairs = _critical(found, level, rng), {}
    for one, other in itertools.permutations(table, 2):
        middle = found.effects[one] - found.effects[other]
        half = ROUNDING + critical * math.sqrt(1 / found.counts[one] + 1 / found.counts[other])
        pairs[one, other] = math.exp(middle - half), math.exp(middle + half)
    return pairs


@dataclass
class Judgement:
    judged: list[Setting]
    verdicts: list[Verdict]
    dominators: dict[Setting, list[Setting]]  # of those who are not on the frontier

    @property
    def frontier(self) -> list[Setting]:
        return [one for one in self.judged if one not in self.dominators]

    def tied(self, one: Setting, other: Setting) -> bool:
        return all(not v.better(one, other) for v in self.verdicts)


def _dominates(verdicts: list[Verdict], one: Setting, other: Setting) -> bool:
    said = [v.better(one, other) for v in verdicts]
    return max(said, default=0) > 0 and min(said) >= 0


def _dominators(judged: list[Setting], verdicts: list[Verdict]) -> dict[Setting, list[Setting]]:
    above = {other: {one for one in judged if one != other and _dominates(verdicts, one, other)} for other in judged}
    reach = {one: set(found) for one, found in above.items()}
    for between in judged:
        for one in judged:
            if between in reach[one]:
                reach[one] |= reach[between]
    real = {one: [o for o in above[one] if one not in reach[o]] for one in judged}
    return {one: sorted(found, key=Setting.key) for one, found in real.items() if found}


def judge(runs: list[dict], level: float, seed: int) -> Judgement:
    rng = random.Random(seed)
    measures = objectives(runs)
    tables = {one.key: table_of(runs, one.key) for one in measures}
    judged = sorted((one for one, values in table_of(runs, "rss").items() if len(values) >= MIN_RUNS), key=Setting.key)
    verdicts = []
    for one in measures:
        table = tables[one.key] = {s: tables[one.key][s] for s in judged}
        verdicts.append(Verdict(one, p_value(table, rng) if len(judged) > 1 else 1.0,
                                too_few=least_p(table) > level / len(measures)))
    for rank, verdict in enumerate(sorted(verdicts, key=lambda v: v.p)):
        if verdict.p > level / (len(verdicts) - rank):
            break
        verdict.differs = True
        verdict.pairs = _pairs(tables[verdict.measure.key], 0.05 / len(verdicts), rng)
    return Judgement(judged, verdicts, _dominators(judged, verdicts))
