"""One run of a micro row: a program is asked for one row and answers with one JSON line."""
import json

from suite import hiccup, process
from suite.machine import Bench
from suite.peers import Program
from suite.rows import Row


def measure(bench: Bench, row: Row, program: Program, seconds: float) -> dict:
    """A sample; raises process.Failed."""
    cpus = bench.cpus[:row.procs]
    meter = hiccup.begin(bench, cpus, 0)
    try:
        out = process.run([*program.argv, row.micro, "--procs", str(row.procs), "--seconds", f"{seconds:g}"],
                          cpus, seconds * 5 + 60, env=program.env)
    finally:
        hiccups = hiccup.end(meter)
    try:
        said = json.loads(out)
        ns, ops = float(said["ns_per_op"]), int(said.get("ops") or 0)
    except (ValueError, KeyError, TypeError):
        raise process.Failed(f"{program.program} answered {out.strip()[:80]!r}, not a result") from None
    if not ns > 0:
        raise process.Failed(f"{program.program} claims {ns:g} ns per operation")
    return {"metrics": {"ns": ns, "bytes": said.get("bytes_per_op")}, "count": ops, "hiccups": hiccups,
            "check": said.get("check") or "", "valid": True, "why": "", "histogram": [], "max": None}


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
