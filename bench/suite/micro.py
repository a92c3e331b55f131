"""One run of a micro or memory row: a program is asked for one row and answers with one JSON line.

`seconds` is whole milliseconds: a row that makes its work out of them makes the same in every language.
"""
import json

from suite import hiccup, histogram, process
from suite.machine import Bench
from suite.peers import Program
from suite.rows import Row


def measure(bench: Bench, row: Row, program: Program, seconds: float) -> dict:
    """A sample; raises process.Failed."""
    cpus = bench.cpus[:row.procs]
    meter = hiccup.begin(bench, cpus, 0)
    try:
        out = process.run([*program.argv, row.micro, "--procs", str(row.procs), "--seconds", f"{seconds:.3f}"],
                          cpus, seconds * 5 + 60, env=program.env)
    finally:
        hiccups = hiccup.end(meter)
    try:
        said = json.loads(out)
        ns, ops = float(said["ns_per_op"]), int(said.get("ops") or 0)
        spread = histogram.from_buckets(said.get("histogram") or [])
    except (ValueError, KeyError, TypeError):
        raise process.Failed(f"{program.program} answered {out.strip()[:80]!r}, not a result") from None
    if not ns > 0:
        raise process.Failed(f"{program.program} claims {ns:g} ns per operation")
    if spread and histogram.size(spread) != ops:
        raise process.Failed(f"{program.program} has {histogram.size(spread)} of {ops} samples in its histogram")
    try:
        memory = _of_memory(said, ns, ops) if row.kind == "memory" else {}
    except (KeyError, TypeError, ValueError):
        raise process.Failed(f"{program.program} leaves out what a memory row has: {out.strip()[:80]!r}") from None
    percentiles = {name: histogram.percentile(spread, q) for name, q in histogram.PERCENTILES.items()}
    return {"metrics": {"ns": ns, "bytes": said.get("bytes_per_op"), "share": said.get("share"), **memory, **percentiles,
                        "max": spread[-1][0] if spread else None},
            "count": ops, "hiccups": hiccups, "check": said.get("check") or "", "valid": True, "why": "",
            "histogram": spread, "max": spread[-1][0] if spread else None}


def _of_memory(said: dict, ns: float, ops: int) -> dict[str, float | None]:
    """Whatever the rows about memory ask for; what ns_per_op is of is the row's own."""
    cpu_s, rss = float(said["cpu_s"]), int(said["rss"])
    plain = said.get("plain_ns")
    return {"wall": float(said["wall_s"]), "cpu_s": cpu_s, "cpu": cpu_s * 1e6 / ops if ops else None, "rss": rss / 2**20 or None,
            "gbs": 1 / ns, "hold": ns / 1e3, "extra": None if plain is None else ns - float(plain)}


def differing(checks: dict[str, str]) -> dict[str, str]:
    """Of label -> proof of work, those that differ from what most say, and why; with no majority, all of them."""
    said = list(checks.values())
    if len(set(said)) < 2:
        return {}
    common = max(sorted(set(said)), key=said.count)
    tied = sum(said.count(c) == said.count(common) for c in set(said)) > 1
    return {label: f"does different work: {check or 'no proof'}, others {common or 'no proof'}" if not tied
            else f"peers disagree about the work done: {check or 'no proof'}"
            for label, check in checks.items() if tied or check != common}
