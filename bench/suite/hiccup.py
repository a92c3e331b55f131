"""The machine's own stalls beside each result: `weft hiccup` on the benched cores while a program runs."""
import json
import subprocess

from suite import histogram, process
from suite.machine import Bench

NOTHING: dict = {"p99": None, "max": None, "histogram": []}


def begin(bench: Bench, cpus: list[int], priority: int) -> subprocess.Popen | None:
    if not bench.weft:
        return None
    listed = ",".join(str(cpu) for cpu in cpus)
    try:
        return process.start([bench.weft, "hiccup", "--cpu", listed, "--json"], cpus, priority)
    except process.Failed:
        return None


def end(meter: subprocess.Popen | None) -> dict:
    """Stops it and returns its distribution, p99 and max in us; nothing is said when it failed: a figure less,
    not a run less."""
    if meter is None:
        return NOTHING
    try:
        _, out = process.stop(meter)
        said = json.loads(out)
        return {"p99": said.get("p99"), "max": said.get("max"), "histogram": histogram.from_points(
            said.get("percentiles") or [], said.get("max"), int(said.get("count") or 0))}
    except (ValueError, AttributeError, TypeError):
        return NOTHING
    finally:
        process.forget(meter)


def joined(parts: list[dict]) -> dict:
    """Those of the pieces of one run, to be merged again."""
    return {**over_rounds(parts), "histogram": histogram.merge(p["histogram"] for p in parts)}


def over_rounds(rounds: list[dict]) -> dict[str, float | None]:
    """The worst stall of all rounds, and p99 of all of them together."""
    peaks = [r["max"] for r in rounds if r["max"] is not None]
    merged = histogram.merge(r["histogram"] for r in rounds)
    return {"p99": histogram.percentile(merged, 0.99), "max": max(peaks) if peaks else None}
