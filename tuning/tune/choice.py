"""The setting that is named: for a goal the cheapest that meets it, otherwise the one that gives least away.

Of settings that do not differ the default is taken when it is among them: what makes no difference is best left alone. A
setting of which a run has failed is named only when all have failed at times.
"""
from dataclasses import dataclass, field

from tune.goal import Goal
from tune.judge import Judgement, Verdict
from tune.setting import DEFAULT, Setting

Summaries = dict[Setting, dict[str, dict]]


@dataclass
class Choice:
    named: Setting | None
    why: str
    goals: list[Goal] = field(default_factory=list)
    nearest: Setting | None = None  # when none meets the goals


def _default_or(one: Setting, alike: list[Setting]) -> Setting:
    return DEFAULT if DEFAULT in alike else one


def _shortfall(one: Setting, judgement: Judgement, medians: Summaries) -> float:
    """How many times worse than the best it is, in the measure where that is most."""
    most = 1.0
    for verdict in (v for v in judgement.verdicts if v.differs):
        key, sign = verdict.measure.key, verdict.measure.sign
        values = [medians[s][key]["median"] for s in judgement.judged]
        best = max(values) if sign > 0 else min(values)
        most = max(most, (best / medians[one][key]["median"]) ** sign)
    return most


def _least_given_away(judgement: Judgement, fit: list[Setting], medians: Summaries) -> Choice:
    if not any(v.differs for v in judgement.verdicts):
        found = "too few rounds to tell the settings apart" if any(v.too_few for v in judgement.verdicts) else \
            "no difference between the settings was found"
        return Choice(_default_or(fit[0], fit), found + (": the default may stay" if DEFAULT in fit else ": any may do"))
    best = min(fit, key=lambda one: (_shortfall(one, judgement, medians), one.key()))
    named = _default_or(best, [one for one in fit if judgement.tied(one, best)])
    times = _shortfall(named, judgement, medians)
    measures = ", ".join(v.measure.name for v in judgement.verdicts if v.differs)
    if named != best:
        return Choice(named, f"it does not differ from {best}, which gives least away, and is the default")
    return Choice(named, f"of {measures} none is worse than {times:.2f} times the best of any setting: no other gives "
                         "away less")


def _cheapest(meeting: list[Setting], judgement: Judgement, medians: Summaries) -> Setting:
    """Least resident memory; of those with as little, the default, or the highest throughput."""
    least = min(meeting, key=lambda one: (medians[one]["rss"]["median"], one.key()))
    by = {v.measure.key: v for v in judgement.verdicts}

    def as_good(verdict: Verdict | None, other: Setting, than: Setting) -> bool:
        return not verdict or not verdict.better(than, other)
    as_small = [one for one in meeting if as_good(by.get("rss"), one, least)]
    throughput = by.get("throughput")
    if not throughput or not throughput.differs:
        return _default_or(least, as_small)
    most = max(as_small, key=lambda one: medians[one]["throughput"]["median"])
    return _default_or(most, [one for one in as_small if as_good(throughput, one, most)])


def _excess(goals: list[Goal], summary: dict[str, dict]) -> float | None:
    """Of the goal that it misses by most, or meets most narrowly."""
    found = [goal.excess(summary.get(goal.measure.key)) for goal in goals]
    return None if None in found else max(found)


def _for_goals(goals: list[Goal], judgement: Judgement, fit: list[Setting], medians: Summaries) -> Choice:
    words = " ".join(map(str, goals))
    excess = {one: _excess(goals, medians[one]) for one in fit}
    known = {one: value for one, value in excess.items() if value is not None}
    if not known:
        lacking = [g.measure.name for g in goals if not any(g.measure.key in medians[one] for one in fit)]
        return Choice(None, f"{words}: no setting reports {' and '.join(lacking) or 'all of it'}", goals)
    meeting = [one for one, value in known.items() if value <= 1]
    if meeting:
        which = f"the cheapest of {len(meeting)} that meet" if len(meeting) > 1 else "the only one that meets"
        return Choice(_cheapest(meeting, judgement, medians), f"{which} {words}", goals)
    near = min(known, key=lambda one: (known[one], one.key()))
    far = "; ".join(f"{g.measure.name} {g.measure.show(g.measure.worst(medians[near][g.measure.key]))}, "
                    f"off by a factor of {g.excess(medians[near][g.measure.key]):.2f}" for g in goals
                    if g.excess(medians[near][g.measure.key]) > 1)
    return Choice(None, f"no setting meets {words}; {near} comes nearest: {far}", goals, near)


def choose(goals: list[Goal], judgement: Judgement, medians: Summaries, failed: dict[Setting, int]) -> Choice:
    sound = [one for one in judgement.judged if not failed.get(one)] or judgement.judged
    if not sound:
        return Choice(None, "too few good runs to judge by", goals)
    return _for_goals(goals, judgement, sound, medians) if goals else _least_given_away(judgement, sound, medians)
