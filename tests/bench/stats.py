#!/usr/bin/env python3
"""Intervals, paired ratios, verdicts, histograms, the plan and the choice of rows."""
import random

import fakes  # noqa: F401, puts bench/ on the path
import tap
from suite import histogram, micro, plan, results, rows, server, stats


def test_a_constant_ratio_has_a_point_interval():
    ratio = stats.paired([1.0, 2.0, 3.0, 4.0, 5.0], [2.0, 4.0, 6.0, 8.0, 10.0])
    tap.equal((ratio["median"], ratio["low"], ratio["high"]), (0.5, 0.5, 0.5))
    tap.equal(stats.verdict(ratio, "lower"), "win")
    tap.equal(stats.verdict(ratio, "higher"), "LOST")


def test_pairing_removes_what_drifts_between_rounds():
    drift = [1.0, 3.0, 9.0, 2.0, 5.0]
    ratio = stats.paired([0.9 * d for d in drift], drift)
    tap.check(ratio["high"] < 0.91 and stats.verdict(ratio, "lower") == "win", ratio)


def test_an_interval_that_spans_one_is_a_tie():
    ratio = stats.paired([1.0, 1.1, 0.9, 1.05, 0.95], [1.0] * 5)
    tap.check(ratio["low"] < 1 < ratio["high"])
    tap.equal(stats.verdict(ratio, "lower"), "tie")


def test_the_interval_covers_as_often_as_it_claims():
    rng, covered = random.Random(7), 0
    for _ in range(200):
        sample = [rng.gauss(10, 1) for _ in range(15)]
        low_high = stats.summary(sample)
        covered += low_high["low"] <= 10 <= low_high["high"]
    tap.check(covered >= 180, covered)


def test_resampling_is_seeded():
    stats.resamples.cache_clear()
    first = stats.resamples(5)
    stats.resamples.cache_clear()
    tap.equal(stats.resamples(5), first)
    tap.equal(sum(first.values()), stats.RESAMPLES)


def test_rounds_without_a_figure_are_left_out_of_pairs():
    ratio = stats.paired([1.0, None, 1.0], [2.0, 2.0, None])
    tap.equal(ratio, None)
    tap.equal(stats.paired([1.0, None, 1.0], [2.0, 2.0, 2.0])["rounds"], [0.5, 0.5])


def test_a_percentile_needs_a_hundred_samples_beyond():
    tap.equal(histogram.percentile([(1.0, 9900), (7.0, 99)], 0.99), None)
    tap.equal(histogram.percentile([(1.0, 9900), (7.0, 100)], 0.99), 1.0)
    tap.equal(histogram.percentile([(1.0, 9899), (7.0, 101)], 0.99), 7.0)


def test_merged_histograms_are_as_one():
    rng = random.Random(3)
    values = [rng.randrange(1, 500) for _ in range(40000)]
    parts = [histogram.merge([[(float(v), 1)] for v in values[k::4]]) for k in range(4)]
    merged = histogram.merge(parts)
    tap.equal(histogram.size(merged), 40000)
    tap.equal(histogram.percentile(merged, 0.99), float(sorted(values)[39599]))


def test_points_become_counts():
    points = [[0.0, 5.0, 1], [0.5, 10.0, 50], [0.75, 20.0, 75], [0.99, 30.0, 99]]
    tap.equal(histogram.from_points(points, 80.0, 100), [(5.0, 1), (10.0, 49), (20.0, 25), (30.0, 24), (80.0, 1)])


def test_a_dump_is_read_and_a_torn_one_is_not():
    text = "weft-histogram 1 count 3 min 1000 max 2600\n1000 2\n2500 1\nend\n"
    tap.equal(histogram.from_dump(text), [(1.0, 2), (2.6, 1)])
    for torn in ("", text[:-4], text.replace("count 3", "count 4"), text.replace("weft", "left")):
        try:
            histogram.from_dump(torn)
        except ValueError:
            continue
        raise AssertionError(f"took {torn!r}")


def test_coarse_steps_keep_counts_and_nearly_the_values():
    exact = [(float(v), 2) for v in range(1, 3000)]
    tap.equal(histogram.size(histogram.coarse(exact)), histogram.size(exact))
    tap.check(len(histogram.coarse(exact)) < 1500)
    a, b = histogram.percentile(exact, 0.9), histogram.percentile(histogram.coarse(exact), 0.9)
    tap.check(abs(a / b - 1) < 0.005, (a, b))


def test_a_curve_rises_to_the_last_sample():
    points = histogram.curve([(float(v), 1) for v in range(1, 1025)])
    tap.check(all(a[0] < b[0] and a[1] <= b[1] for a, b in zip(points, points[1:])))
    tap.check(1 - 1 / 512 < points[-1][0] <= 1 - 1 / 1024 + 1e-9)


def test_pieces_of_a_realtime_run_are_one_sample():
    def piece(value, valid=True):
        shape = [(value, 9000), (3 * value, 1000)]
        return {"metrics": {"p50": value, "p99": None, "cpu": value}, "histogram": shape, "count": 10000, "check": "",
                "max": 3 * value, "hiccups": {"p99": None, "max": value, "histogram": []}, "valid": valid, "why": "late"}
    both = server._joined([piece(10.0), piece(20.0), piece(30.0, False)])
    tap.equal((both["count"], both["max"], both["metrics"]["cpu"], both["valid"]), (30000, 90.0, 20.0, True))
    tap.equal((both["metrics"]["p50"], both["metrics"]["p99"], both["hiccups"]["max"]), (20.0, 90.0, 30.0))
    tap.check(not server._joined([piece(10.0, False), piece(20.0, False)])["valid"])
    tap.equal([server.realtime_pieces(s) for s in (0.3, 0.6, 0.61, 1.8)], [1, 1, 2, 3])


def test_different_work_is_named():
    tap.equal(micro.differing({"weft": "sum=1", "go": "sum=1", "rust": "sum=1"}), {})
    wrong = micro.differing({"weft": "sum=1", "go": "sum=2", "rust": "sum=1"})
    tap.equal(list(wrong), ["go"])
    tap.check("sum=2" in wrong["go"] and "sum=1" in wrong["go"])
    tap.equal(sorted(micro.differing({"go": "sum=2", "rust": "sum=1"})), ["go", "rust"])


def test_every_line_of_the_issue_has_its_row():
    have = {row.id for row in rows.all_rows("full", True)}
    for base in ("spawn-batch", "spawn-one", "spawn-park", "yield-2", "yield-1000", "ping-pong", "chan-spsc",
                 "chan-mpmc", "select-2", "chan-try", "mutex", "mutex-contended", "timer", "timer-reset", "fork-join", "park-100k", "park-1m"):
        tap.check({f"{base}-p1", f"{base}-p2"} <= have, base)
    tap.check({"rtt-p2", "wake-polling-p2", "sched-latency-p2"} <= have)
    for group in ("raw", "framework"):
        tap.check({f"{group}-saturation", f"{group}-20k", f"{group}-20k-rt", f"{group}-50k", f"{group}-50k-rt"} <= have)
    tap.check("tcp-echo" in have)


def test_two_rows_make_a_quotient():
    def figure(workload, peer, value, variant=""):
        return {"workload": workload, "peer": peer, "variant": variant, "median": value, "low": 0.9 * value, "high": 1.2 * value}
    made = results.quotients([
        figure("fork-join-p1", "go", 200.0), figure("fork-join-p1", "go", 180.0), figure("fork-join-p2", "go", 100.0),
        figure("fork-join-p1", "weft", 40.0), figure("wake-polling-p2", "weft", 210.0), figure("rtt-p2", "c", 70.0)])
    tap.equal([(q["name"], q["peer"], q["median"]) for q in made],
              [("fork-join 1 core/2", "go", 1.8), ("wake-polling/rtt", "weft", 3.0)])
    tap.check(made[0]["low"] < 1.8 < made[0]["high"] and made[0]["better"] == "higher", made)


def test_every_memory_row_is_there():
    have = {row.id: row for row in rows.all_rows("full", True)}
    for base in ("alloc-16", "alloc-64", "alloc-256", "binary-trees-18", "gc-hold", "mark-tree", "mark-lists", "mark-poor", "set-idle",
                 "rss-curve", "ring-push", "map-push"):
        tap.check(f"{base}-p1" in have, base)
    tap.check("binary-trees-18-p2" in have)
    quick = {row.base for row in rows.all_rows("quick", True) if row.group == "memory"}
    tap.equal(quick, {"alloc-16", "alloc-64", "alloc-256", "binary-trees-16", "ring-push", "map-push"})
    for row in have.values():
        tap.check(row.primary in row.metrics, row)


def test_equal_memory_is_between_two_points_or_none():
    def point(peer, rss, ns):
        return {"workload": "curve", "peer": peer, "variant": "", "median": ns, "rss_mib": rss}
    row = {"id": "curve", "kind": "memory", "curve": True}
    ours = [point("weft", 400, 10.0), point("weft", 100, 40.0)]
    made = results.equal_rss([row], ours + [point("go", mib, 20.0) for mib in (99, 100, 200, 400, 800)], "weft")
    tap.equal([(e["ns"], e["ratio"]) for e in made], [(None, None), (40.0, 2.0), (20.0, 1.0), (10.0, 0.5), (10.0, 0.5)])
    tap.equal(results.equal_rss([row], [point("go", 100, 20.0)], "weft")[0]["ns"], None)
    tap.equal(results.equal_rss([{**row, "curve": False}], ours + [point("go", 100, 1.0)], "weft"), [])


def test_classes_are_never_in_one_row():
    for row in rows.all_rows("full", True):
        if row.kind == "load":
            tap.equal(row.group == "framework", row.server_mode == "http")


def test_fixed_rates_run_one_way_unless_full():
    for mode in ("quick", "default"):
        tap.check(all(row.realtime == bool(row.rate) for row in rows.all_rows(mode, True)))
        tap.check(not any(row.realtime for row in rows.all_rows(mode, False)))
    tap.equal(len({row.id for row in rows.all_rows("full", True)}), len(rows.all_rows("full", True)))


def test_names_select_rows_bases_and_groups():
    def ids(*names, mode="default", realtime=True):
        return [row.id for row in rows.selected(mode, realtime, list(names))[0]]
    tap.equal(sorted(ids("ping-pong")), ["ping-pong-p1", "ping-pong-p2"])
    tap.equal(ids("ping-pong-p2"), ["ping-pong-p2"])
    tap.equal(sorted(ids("wake-polling")), ["rtt-p2", "wake-polling-p2"])
    tap.equal(ids("rtt"), ["rtt-p2"])
    tap.equal(ids("raw-20k"), ["raw-20k-rt"])
    tap.equal(ids("raw-20k", realtime=False), ["raw-20k"])
    tap.equal(sorted(ids("raw-20k", mode="full")), ["raw-20k", "raw-20k-rt"])
    tap.equal(ids("park-1m-p1", mode="quick"), ["park-1m-p1"])
    tap.equal(rows.selected("quick", False, ["raw-20k-rt"]), ([], ["raw-20k-rt"]))
    for name in rows.known_names():
        tap.check(rows.selected("full", True, [name])[0], name)


def test_a_plan_shrinks_runs_and_keeps_the_limit():
    chosen = [(row, 5) for row in rows.all_rows("default", True)]
    wide = plan.Plan("default", 5, plan.time.monotonic(), chosen)
    tap.check(plan.estimate(wide) <= plan.LIMIT_S["default"])
    tap.check(plan.SHRINK_FLOOR <= plan.scale(wide, 0) <= 1)
    firm = next(row for row in rows.all_rows("default", True) if row.base == "sched-latency")
    tap.equal(plan.measured(firm, "default", plan.SHRINK_FLOOR), firm.seconds["default"])
    tap.equal(plan.measured(chosen[0][0], "default", 0.5), chosen[0][0].seconds["default"] / 2)
    late = plan.Plan("default", 5, plan.time.monotonic() - plan.LIMIT_S["default"] + 1, chosen)
    tap.equal(plan.scale(late, 0), 0.0)
    full = plan.Plan("full", 5, plan.time.monotonic() - 1e6, chosen)
    tap.equal(plan.scale(full, 0), 1.0)


if __name__ == "__main__":
    tap.main(globals())
