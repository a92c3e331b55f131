#!/usr/bin/env python3
"""What is said of settings from their runs: false alarms, what is found, dominance, the choice; and the parts that read."""
import random

import tuning  # noqa: F401, puts tuning/ and bench/ on the path

import tap
from suite import process
from tune import choice, figures, gctrace, judge, measure, quantity, setting
from tune.goal import Goal
from tune.setting import DEFAULT, Setting

SETTINGS = [Setting(gogc, None) for gogc in (25, 50, 100, 200, 400, 800)]
LEVEL = judge.FINAL_LEVEL


def runs(rng: random.Random, rounds, settings, noise: float = 0.1, tail=lambda one: 1.0, rate=lambda one: 1.0, rss=lambda one: 1.0,
         outliers: float = 0.05) -> list[dict]:
    """Figures with what drifts from round to round, and outliers among the tails. Memory is in pages, and often the same."""
    found = []
    for number in rounds:
        drift = rng.lognormvariate(0, 0.1)
        for one in settings:
            spike = 5 if rng.random() < outliers else 1
            found.append({"round": number, "gogc": one.gogc, "limit": one.limit, "seconds": 1.0, "figures": {
                "throughput": 2e4 * drift * rate(one) * rng.lognormvariate(0, noise / 5),
                "rss": 2.4e7 * rss(one) + 4096 * rng.randrange(6),
                "p999_us": 900 * drift * tail(one) * spike * rng.lognormvariate(0, noise)}})
    return found


def differing(judgement: judge.Judgement) -> list[str]:
    return [v.measure.key for v in judgement.verdicts if v.differs]


def test_false_alarms_are_below_5_percent():
    """As the tuner goes on: some rounds of all, a choice at one level, more rounds of those, a verdict at the other."""
    alarms, tries = 0, 120
    for seed in range(tries):
        rng = random.Random(seed)
        settings = SETTINGS[:rng.choice((2, 3, 6))]
        first = 8 if len(settings) == 2 else 5
        found = runs(rng, range(1, first + 1), settings)
        near = judge.judge(found, judge.NARROWING_LEVEL, seed).frontier
        found += runs(rng, range(first + 1, first + 6), near)
        judgement = judge.judge(found, LEVEL, seed)
        alarms += bool(differing(judgement)) or len(judgement.frontier) < len(settings)
    tap.check(alarms <= 0.05 * tries, alarms)


def test_real_differences_are_found():
    found = 0
    for seed in range(25):
        rng = random.Random(seed)
        found += "p999_us" in differing(judge.judge(runs(rng, range(1, 11), SETTINGS, tail=lambda one: one.gogc ** -0.2), LEVEL, seed))
    tap.check(found >= 23, found)


def test_the_interval_of_a_pair_covers_what_is_true():
    """All pairs at once, three measures sharing 5%; the tail's spikes are left out, as the truth is of the ratio without."""
    covered, tries = 0, 25
    for seed in range(tries):
        judgement = judge.judge(runs(random.Random(seed), range(1, 7), SETTINGS, outliers=0, tail=lambda one: one.gogc / 100), LEVEL, seed)
        pairs = next(v for v in judgement.verdicts if v.measure.key == "p999_us").pairs
        covered += all(low <= a.gogc / b.gogc <= high for (a, b), (low, high) in pairs.items()) and len(pairs) == 30
    tap.check(covered >= 23, covered)


def test_the_worse_in_all_is_dominated():
    bad = SETTINGS[-1]
    judgement = judge.judge(runs(random.Random(1), range(1, 9), SETTINGS, noise=0.03, outliers=0, tail=lambda one: 2 if one == bad else 1,
                                 rss=lambda one: 1.5 if one == bad else 1), LEVEL, 1)
    tap.equal((judgement.frontier, sorted(differing(judgement))), (SETTINGS[:-1], ["p999_us", "rss"]))
    tap.equal(judgement.dominators[bad], SETTINGS[:-1])


def test_what_is_paid_for_stays_on_the_frontier():
    judgement = judge.judge(runs(random.Random(1), range(1, 9), SETTINGS, noise=0.02, outliers=0, tail=lambda one: 100 / one.gogc,
                                 rss=lambda one: 1 + one.gogc / 100), LEVEL, 1)
    tap.equal((judgement.frontier, judgement.dominators), (SETTINGS, {}))


def test_a_circle_of_dominance_leaves_nobody_out():
    a, b, c, d = SETTINGS[:4]
    one = judge.Verdict(measure.ALL["rss"], 0.0, differs=True)
    other = judge.Verdict(measure.ALL["p999_us"], 0.0, differs=True)
    third = judge.Verdict(measure.ALL["throughput"], 0.0, differs=True)
    for verdict, better, worse in ((one, a, b), (other, b, c), (third, c, a), (one, a, d), (one, b, d)):
        low, high = (1.5, 2.0) if verdict is third else (0.5, 0.7)
        verdict.pairs[better, worse] = low, high
        verdict.pairs[worse, better] = 1 / high, 1 / low
    tap.equal(judge._dominators([a, b, c, d], [one, other, third]), {d: [a, b]})


def test_two_settings_need_their_eight_rounds():
    def tail(one):
        return 3 if one.gogc == 25 else 1
    few = judge.judge(runs(random.Random(1), range(1, 6), SETTINGS[:2], tail=tail), LEVEL, 1)
    tap.check(not differing(few) and all(v.too_few for v in few.verdicts), "no p-value of five rounds of two is that small")
    tap.check("too few rounds" in choice.choose([], few, medians(few, {}), {}).why, "and that is what is said")
    enough = judge.judge(runs(random.Random(1), range(1, 9), SETTINGS[:2], tail=tail, outliers=0), LEVEL, 1)
    tap.check(differing(enough) == ["p999_us"] and not any(v.too_few for v in enough.verdicts), enough.verdicts)


def test_one_is_judged_by_three_good_runs():
    found = runs(random.Random(1), range(1, 6), SETTINGS[:3])
    for run in found:
        if run["gogc"] == 25 and run["round"] > 2:
            del run["figures"]
            run["why"] = "broken"
    tap.equal(judge.judge(found, LEVEL, 1).judged, SETTINGS[1:3])
    tap.equal(judge.judge([], LEVEL, 1).judged, [])


def test_round_0_is_not_judged():
    found = runs(random.Random(1), range(0, 3), SETTINGS)
    tap.equal((judge.judge(found, LEVEL, 1).judged, judge.table_of(found, "rss")[SETTINGS[0]].keys()), ([], {1, 2}))


def test_the_tail_is_the_farthest_that_all_report():
    found = runs(random.Random(1), range(1, 6), SETTINGS[:3])
    for run in found:
        run["figures"] |= {"p99_us": 80.0, "max_us": 5e4}
        if run["gogc"] == 25:
            run["figures"].pop("p999_us")
    tap.equal([one.key for one in judge.objectives(found)], ["throughput", "rss", "p99_us"])
    for run in found:
        run["figures"] = {"rss": 1e6, "max_us": 5e4}
    tap.equal([one.key for one in judge.objectives(found)], ["rss", "max_us"])


def medians(judgement: judge.Judgement, figures_of: dict) -> dict:
    return {one: {key: {"median": value, "low": 0.9 * value, "high": 1.1 * value} for key, value in figures_of.get(one, {}).items()}
            for one in judgement.judged}


def test_the_choice_is_the_cheapest_that_meets_the_bad_end():
    def rss(one):
        return 1 + one.gogc / 100
    judgement = judge.judge(runs(random.Random(1), range(1, 9), SETTINGS, noise=0.02, outliers=0, rss=rss,
                                 tail=lambda one: 400 / one.gogc), LEVEL, 1)
    seen = medians(judgement, {one: {"rss": 1e6 * rss(one), "p999_us": 4e5 / one.gogc, "throughput": 1e4} for one in SETTINGS})

    def goal(key, bound):
        return Goal(measure.ALL[key], bound, str(bound))
    tap.equal(choice.choose([goal("p999_us", 2300.0)], judgement, seen, {}).named, Setting(200, None))
    tap.equal(choice.choose([goal("p999_us", 2100.0)], judgement, seen, {}).named, Setting(400, None))
    tap.equal(choice.choose([goal("p999_us", 2300.0)], judgement, seen, {Setting(200, None): 1}).named, Setting(400, None))
    none = choice.choose([goal("p999_us", 1000.0), goal("rss", 4e6)], judgement, seen, {})
    tap.equal((none.named, none.nearest), (None, Setting(400, None)))
    tap.equal(choice.choose([goal("throughput", 9500.0)], judgement, seen, {}).named, None)
    tap.equal(choice.choose([goal("throughput", 8900.0)], judgement, seen, {}).named, Setting(25, None))


def test_without_a_difference_the_default_stays():
    judgement = judge.judge(runs(random.Random(3), range(1, 6), SETTINGS), LEVEL, 3)
    tap.equal(differing(judgement), [])
    chosen = choice.choose([], judgement, medians(judgement, {}), {})
    tap.equal((chosen.named, "no difference" in chosen.why), (DEFAULT, True))


def test_the_grid_never_has_both_off_and_is_thinned_by_rule():
    grid = setting.grid(setting.GRID, (1 << 28, None))
    tap.equal(len(grid), 13)
    tap.check(Setting(None, None) not in grid and Setting(None, 1 << 28) in grid, grid)
    thin = setting.thin(setting.grid(setting.GRID, (None,)), 3)
    tap.equal(thin, [Setting(50, None), Setting(100, None), Setting(400, None)])
    tap.equal(len(setting.thin(grid, 100)), 13)


def test_limits_divide_the_memory_seen():
    mib = 1 << 20
    tap.equal(setting.derived_limits([16 * mib, 256 * mib, 50 * mib]), [32 * mib, 64 * mib, 128 * mib])
    tap.equal(setting.derived_limits([100 * mib, 110 * mib]), [138 * mib])
    tap.equal(setting.derived_limits([]), [])


def test_quantities_are_read_and_shown():
    tap.equal([quantity.size(text) for text in ("512MiB", "1.5 KiB", "7", "2GiB")], [512 << 20, 1536, 7, 2 << 30])
    tap.equal([quantity.duration(text) for text in ("1ms", "500us", "2.5 s", "1500ns")], [1000.0, 500.0, 2.5e6, 1.5])
    tap.equal([quantity.show_size(v) for v in (512 << 20, 1536, 7)], ["512 MiB", "1.50 KiB", "7 B"])
    tap.equal([quantity.show_duration(v) for v in (0.5, 999.7, 1234.0, 2.5e6)], ["0.50 µs", "1.00 ms", "1.23 ms", "2.50 s"])
    tap.equal([quantity.show_count(v) for v in (950.0, 19876.0, 2.5e6)], ["950", "19.9k", "2.50M"])


def test_a_trace_is_summed_and_a_torn_line_told():
    trace = gctrace.Trace()
    for line in ("gctrace: cycle=1 why=heap cpu_us=100 hold_us=7 assist_us=3 novelty=x", "gctrace: cycle=2 cpu_us=50 hold_us=4",
                 "gctrace: cycle=3 cpu_us=12gctrace: cycle=4", "gctrace: cpu_us=1"):
        trace.add(line)
    tap.equal((trace.figures(), trace.unread), ({"cycles": 2, "gc_cpu_s": 150e-6, "hold_us": 7.0}, 2))
    tap.equal(gctrace.Trace().figures(), {"cycles": 0, "gc_cpu_s": 0.0})
    tap.equal([gctrace.switched_on(text) for text in ("", "seed=4", "gctrace=1,nosteal")],
              ["gctrace=1", "seed=4,gctrace=1", "nosteal,gctrace=1"])


def refused(words: str, stdout: str) -> None:
    try:
        figures.read(stdout, [])
    except process.Failed as failed:
        tap.check(words in str(failed), failed)
        return
    raise AssertionError(f"{stdout!r} was taken")


def test_reports_are_read_wherever_they_stand():
    tap.equal(figures.read("words\nweft-tune: throughput=5 p99_us=2.5\n", ["weft-tune: max_us=9 throughput=6"]),
              {"throughput": 6.0, "p99_us": 2.5, "max_us": 9.0})
    load = '{"achieved_rate": 50.5,\n "latency_us": {"p50": 1.5, "p99": null, "max": 7}, "valid": true}'
    tap.equal(figures.read('{"other": 1}\n{ not JSON\n  ' + load + "\nmore\n", []), {"throughput": 50.5, "p50_us": 1.5, "max_us": 7.0})
    tap.equal(figures.read("nothing of interest, weft-tune: in the middle", []), {})
    refused("'p999=5': no such figure", "weft-tune: p999=5")
    refused("'p50_us=x': not a number", "weft-tune: p50_us=x")
    refused("not a number above 0", "weft-tune: p50_us=nan")
    refused("not a number above 0", "weft-tune: throughput=0")
    refused("without a figure", "weft-tune:")
    refused("the load was not valid: 3 errors", load.replace("true", 'false, "why": "3 errors"'))


if __name__ == "__main__":
    tap.main(globals())
