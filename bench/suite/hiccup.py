"""The machine's own stalls beside each result: `weft hiccup` on the benched cores while a program runs."""
import json
import subprocess

from suite import process
from suite.machine import Bench

NOTHING: dict[str, float | None] = {"p99": None, "max": None}


def begin(bench: Bench, cpus: list[int], priority: int) -> subprocess.Popen | None:
    if not bench.weft:
        return None
    listed = ",".join(str(cpu) for cpu in cpus)
    try:
        return process.start([bench.weft, "hiccup", "--cpu", listed, "--json"], cpus, priority)
    except process.Failed:
        return None


def end(meter: subprocess.Popen | None) -> dict[str, float | None]:
    """Stops it and returns p99 and max in us; nothing is said when it failed: a figure less, not a run less."""
    if meter is None:
        return NOTHING
    try:
        _, out = process.stop(meter)
        said = json.loads(out)
        return {"p99": said.get("p99"), "max": said.get("max")}
    except (ValueError, AttributeError):
        return NOTHING
    finally:
        process.forget(meter)


def over_rounds(rounds: list[dict[str, float | None]]) -> dict[str, float | None]:
    """The worst stall of all rounds, and the median of their p99."""
    p99 = sorted(r["p99"] for r in rounds if r["p99"] is not None)
    peaks = [r["max"] for r in rounds if r["max"] is not None]
    return {"p99": p99[len(p99) // 2] if p99 else None, "max": max(peaks) if peaks else None}
