"""From samples to report.json: results, ratios, A/A spreads, and null for whatever cannot be defended."""
import math
from statistics import median

from suite import hiccup, histogram, stats
from suite.plan import MIN_ROUNDS
from suite.rows import QUOTIENTS, Quotient, Row
from suite.running import Finished, Runs

LATENCIES = tuple(histogram.PERCENTILES)
HIGHER_IS_BETTER = ("rate", "share", "gbs")


def better(metric: str) -> str:
    return "higher" if metric in HIGHER_IS_BETTER else "lower"


def _values(runs: Runs, metric: str) -> list[float | None]:
    """By round. Of an invalid round only the CPU time counts."""
    return [None if s is None or (not s["valid"] and (metric in LATENCIES or metric == "rate")) else s["metrics"].get(metric)
            for s in runs.samples]


def _figure(metric: str, rounds: list[float | None]) -> dict:
    """Median and interval; null unless all rounds but a few have the figure."""
    present = stats.drop_none(rounds)
    enough = len(present) >= min(MIN_ROUNDS, len(rounds)) * 0.6 and present
    return {"rounds": rounds, **stats.summary(present if enough else [])}


def _merged(runs: Runs) -> histogram.Histogram:
    return histogram.merge(s["histogram"] for s in runs.samples if s and s["valid"])


def _round6(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")


def result(finished: Finished, runs: Runs) -> dict:
    row, program = finished.row, runs.program
    samples = [s for s in runs.samples if s]
    invalid = [s["why"] or "invalid" for s in samples if not s["valid"]]
    metrics = {m: _figure(m, _values(runs, m)) for m in _metric_names(row)} if samples else {}
    primary = metrics.get(row.primary, {"rounds": [], **stats.summary([])})
    merged = _merged(runs) if samples and row.spread else []
    valid = bool(samples) and not runs.why and 2 * len(invalid) < len(samples)
    why = runs.why or (f"{len(invalid)} of {len(samples)} rounds invalid: {invalid[0]}" if invalid else "")
    peaks = [s["max"] for s in samples if s["valid"] and s["max"] is not None]
    cpu = {part: metrics.get(f"cpu_{part}", {}).get("median") for part in ("user", "system", "spin")}
    return {
        "workload": row.id, "peer": program.peer, "variant": program.variant, "program": program.program,
        "class": row.group, "scheduling": "realtime" if row.realtime else "ordinary",
        "unit": row.unit, "metric": row.primary, "rounds": primary["rounds"],
        "median": primary["median"], "low": primary["low"], "high": primary["high"],
        "count": sum(s["count"] for s in samples) if samples else None,
        **{name: histogram.percentile(merged, q) if merged else None for name, q in histogram.PERCENTILES.items()},
        "max": max(peaks) if peaks and row.spread else None,
        "cpu_us_per_op": metrics.get("cpu", {}).get("median"), "cpu": cpu,
        "rate": metrics.get("rate", {}).get("median"), "offered_rate": row.rate or None,
        "bytes_per_op": metrics.get("bytes", {}).get("median"), "rss_mib": metrics.get("rss", {}).get("median"),
        "metrics": metrics, "curve": histogram.curve(merged),
        "check": next((s["check"] for s in samples if s["check"]), ""),
        "valid": valid, "pending": program.pending, "failed": runs.failed, "why": why,
        "hiccups": hiccup.over_rounds([s["hiccups"] for s in samples]),
    }


def _metric_names(row: Row) -> list[str]:
    names = list(row.metrics)
    if row.kind == "load":
        names += ["cpu", "cpu_user", "cpu_system", "cpu_spin", "rate", "p50", "p99"]
    if row.kind == "memory":
        names += ["cpu", "rss"]
    return list(dict.fromkeys(names))


def _merged_ratio(ours: Runs, theirs: Runs, q: float) -> dict | None:
    """For a percentile that single rounds are too short for: of the merged rounds, resampled by round."""
    rounds = [(histogram.coarse(a["histogram"]), histogram.coarse(b["histogram"])) for a, b in zip(ours.samples, theirs.samples)
              if a and b and a["valid"] and b["valid"]]

    def estimate(indices: tuple[int, ...]) -> float | None:
        a = histogram.percentile(histogram.merge(rounds[i][0] for i in indices), q)
        b = histogram.percentile(histogram.merge(rounds[i][1] for i in indices), q)
        return a / b if a is not None and b else None

    whole = estimate(tuple(range(len(rounds))))
    low_high = stats.interval(len(rounds), estimate)
    if whole is None or low_high is None:
        return None
    return {"median": whole, "low": low_high[0], "high": low_high[1], "rounds": []}


def _ratio_of(ours: Runs, theirs: Runs, metric: str) -> tuple[dict | None, str]:
    """The ratio, and how it was got."""
    a, b = _values(ours, metric), _values(theirs, metric)
    together = sum(x is not None and y is not None for x, y in zip(a, b))
    if together >= max(2, min(MIN_ROUNDS, len(a)) * 0.6):
        return stats.paired(a, b), "paired"
    if metric in LATENCIES:
        return _merged_ratio(ours, theirs, histogram.PERCENTILES[metric]), "merged"
    return None, ""


def _has_figures(runs: Runs) -> bool:
    return not runs.why and any(runs.samples)


def compared(row: Row) -> list[str]:
    """The metrics that ratios are made of. A rate at saturation is the load generator's, not the server's; the share that
    is left to whoever computes says what a latency was paid with, and is nothing to win by itself; a difference may be nothing at all.
    The points of a curve are compared at equal memory: `equal_rss`."""
    if row.kind == "memory" and row.curve:
        return []
    return [m for m in row.metrics if m not in ("rate", "share", "extra")]


def ratios(finished: Finished, subject: str) -> list[dict]:
    """The subject over every other program of the row, for every metric of the row. `headline` marks, for each
    peer, the variant with the best figure: the one that a table compares with."""
    ours = _best_of([r for r in finished.runs if r.program.peer == subject and _has_figures(r)],
                    finished.row.primary)
    if ours is None:
        return []
    listed = []
    for metric in compared(finished.row):
        noise = aa_spread(finished, metric)
        for theirs in finished.runs:
            if theirs.program.peer == subject or not _has_figures(theirs):
                continue
            ratio, how = _ratio_of(ours, theirs, metric)
            if ratio is None:
                continue
            within = bool(noise and noise["low"] is not None and
                          noise["low"] <= ratio["median"] <= noise["high"])
            listed.append({"workload": finished.row.id, "metric": metric, "peer": subject,
                           "variant": ours.program.variant, "against": theirs.program.peer,
                           "against_variant": theirs.program.variant, **ratio, "method": how,
                           "verdict": stats.verdict(ratio, better(metric)), "within_aa": within,
                           "headline": _is_best(finished, theirs, metric)})
    return listed


def _level(runs: Runs, metric: str) -> float | None:
    values = stats.drop_none(_values(runs, metric))
    if values:
        return median(values)
    return histogram.percentile(_merged(runs), histogram.PERCENTILES[metric]) if metric in LATENCIES else None


def _best_of(candidates: list[Runs], metric: str) -> Runs | None:
    levels = [(level, r) for r in candidates if (level := _level(r, metric)) is not None]
    if not levels:
        return candidates[0] if candidates else None
    return (max if better(metric) == "higher" else min)(levels, key=lambda pair: pair[0])[1]


def _is_best(finished: Finished, runs: Runs, metric: str) -> bool:
    same_peer = [r for r in finished.runs if r.program.peer == runs.program.peer and _has_figures(r)]
    return _best_of(same_peer, metric) is runs


def aa_spread(finished: Finished, metric: str) -> dict | None:
    """The program against itself: what a ratio of equals looks like in this row."""
    if finished.aa is None or not _has_figures(finished.aa):
        return None
    first = next(r for r in finished.runs
                 if r.program.program == finished.aa.program.program and r.program.env == finished.aa.program.env)
    ratio, how = _ratio_of(finished.aa, first, metric)
    if ratio is None:
        return None
    return {"workload": finished.row.id, "metric": metric, "peer": first.program.peer, **ratio, "method": how}


def describe_row(finished: Finished) -> dict:
    row = finished.row
    return {"id": row.id, "base": row.base, "group": row.group, "section": row.section, "kind": row.kind,
            "question": row.question, "unit": row.unit, "metrics": list(row.metrics), "primary": row.primary,
            "procs": row.procs, "server_mode": row.server_mode, "rate": row.rate or None, "realtime": row.realtime, "curve": row.curve,
            "seconds": round(finished.seconds, 3), "why": finished.why, "failed": finished.failed}


def _rounded(value):
    if isinstance(value, float):
        return _round6(value)
    if isinstance(value, dict):
        # Six digits make 100% of the last percentiles of a curve of a million samples.
        return {k: v if k == "curve" and isinstance(v, list) else _rounded(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_rounded(v) for v in value]
    return value


def part_of(finished: Finished, subject: str) -> dict:
    """All that a finished row adds to the report, computed once."""
    noise = [spread for m in compared(finished.row) if (spread := aa_spread(finished, m))]
    problems = [{"peer": r.program.peer, "program": r.program.program, "why": r.why, "failed": r.failed}
                for r in finished.runs if r.why and not finished.why]
    return _rounded({"row": describe_row(finished), "results": [result(finished, r) for r in finished.runs],
                     "ratios": ratios(finished, subject), "aa": noise, "problems": problems})


def _problems(parts: list[dict]) -> list[dict]:
    """Each one once, with the rows that it is about."""
    merged: dict[tuple[str, str, str], dict] = {}
    for part in parts:
        for p in part["problems"]:
            entry = merged.setdefault((p["peer"], p["program"], p["why"]), {**p, "workloads": []})
            if part["row"]["id"] not in entry["workloads"]:
                entry["workloads"].append(part["row"]["id"])
    return list(merged.values())


def _figures_of(results: list[dict], workload: str, peer: str) -> dict | None:
    """The result with a peer's best figure in a row that is about nanoseconds."""
    have = [r for r in results if r["workload"] == workload and r["peer"] == peer and r["median"]]
    return min(have, key=lambda r: r["median"], default=None)


def _over(top: float | None, bottom: float | None) -> float | None:
    return _round6(top / bottom) if top and bottom else None


def quotients(results: list[dict]) -> list[dict]:
    """What two rows say together. They ran one after the other, not interleaved: nothing is paired, and the interval
    is as wide as those of both allow."""
    listed = []
    for q in QUOTIENTS:
        for peer in dict.fromkeys(r["peer"] for r in results):
            top = _figures_of(results, q.top, peer)
            bottom = _figures_of(results, q.bottom, q.bottom_peer or peer)
            if top and bottom and (q.floor or peer != "c"):
                listed.append(_quotient(q, peer, top, bottom))
    return listed


def _quotient(q: Quotient, peer: str, top: dict, bottom: dict) -> dict:
    return {"name": q.name, "words": q.words, "top": q.top, "bottom": q.bottom, "peer": peer,
            "better": "higher" if q.higher else "lower", "median": _over(top["median"], bottom["median"]),
            "low": _over(top["low"], bottom["high"]), "high": _over(top["high"], bottom["low"])}


def _time_at(points: list[tuple[float, float]], rss: float) -> float | None:
    """Of (RSS, time) points, the time at that RSS, between two of them along a straight line of logarithms. Who never needs so
    much takes what it takes with less; what would need more than it may have has no time."""
    points = sorted(points)
    if not points or rss < points[0][0]:
        return None
    for (a, at_a), (b, at_b) in zip(points, points[1:]):
        if a <= rss <= b:
            share = (math.log(rss) - math.log(a)) / (math.log(b) - math.log(a)) if b > a else 1.0
            return math.exp(math.log(at_a) + share * (math.log(at_b) - math.log(at_a)))
    return points[-1][1]


def equal_rss(rows: list[dict], results: list[dict], subject: str) -> list[dict]:
    """What the subject takes with the memory that another peer took at each of its settings. Lower is better."""
    listed = []
    for workload in (row["id"] for row in rows if row["kind"] == "memory" and row["curve"]):
        have = [r for r in results if r["workload"] == workload and r["median"] and r["rss_mib"]]
        ours = [(r["rss_mib"], r["median"]) for r in have if r["peer"] == subject]
        for r in have:
            if r["peer"] != subject:
                ns = _time_at(ours, r["rss_mib"])
                listed.append({"workload": workload, "peer": subject, "against": r["peer"], "against_variant": r["variant"],
                               "rss_mib": r["rss_mib"], "ns": _round6(ns), "against_ns": r["median"], "ratio": _over(ns, r["median"])})
    return listed


def assemble(parts: list[dict], subject: str, head: dict) -> dict:
    """head: machine, settings, peers and what else stands before the rows."""
    joined = {key: [entry for part in parts for entry in part[key]] for key in ("results", "ratios", "aa")}
    return {**head, "subject": subject, "rows": [part["row"] for part in parts], **joined,
            "quotients": quotients(joined["results"]),
            "equal_rss": equal_rss([part["row"] for part in parts], joined["results"], subject), "problems": _problems(parts)}
