"""Runs the rows: in each round every peer once, the order turned by one from round to round.

Rows are finished one after the other, so that an interrupted bench has whole rows to show. The ratio of two
peers needs only that they are interleaved within a row. On A/A rows the program whose ratios are reported
is run twice a round, the second time under the label AA: what differs between equals is noise.
"""
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from suite import micro, peers, plan, process, server
from suite.machine import Bench
from suite.peers import Program
from suite.plan import Plan
from suite.progress import Progress
from suite.rows import Row

AA = "a/a"


@dataclass
class Runs:
    """What came of one program in one row: a sample a round, or why there are none."""
    program: Program
    samples: list[dict | None] = field(default_factory=list)
    why: str = ""
    failed: bool = False


@dataclass
class Finished:
    row: Row
    runs: list[Runs]
    seconds: float  # of one run
    aa: Runs | None = None
    why: str = ""  # the whole row was left out
    failed: bool = False  # and that is a failure, not a limit of the machine or the time


def unfit(bench: Bench, row: Row) -> str:
    """Why this machine cannot do the row; empty when it can."""
    if row.procs > len(bench.cpus):
        return f"needs {row.procs} cores, {len(bench.cpus)} usable"
    if row.kind == "load" and not bench.weft:
        return "no load generator: the weft command is not built"
    return ""


def _check_server(bench: Bench, row: Row, program: Program) -> str:
    """Asks a fresh server for its work once, before anything is timed."""
    with tempfile.TemporaryDirectory(prefix="weft-bench-") as scratch:
        stats = Path(scratch) / "stats"
        stats.write_bytes(bytes(8))
        try:
            with server.serving(bench, row, program, 0, stats) as (_, port):
                wrong = server.wrong_answer(row.server_mode, port)
                return f"answers wrongly: {wrong}" if wrong else ""
        except process.Failed as failed:
            return str(failed)


def _entrants(bench: Bench, row: Row, programs: list[Program], checked: dict[tuple[str, str], str]) -> list[Runs]:
    entrants = []
    for program in programs:
        runs = Runs(program)
        if not program.ok:
            runs.why, runs.failed = program.why, not program.pending
        elif row.kind == "load":
            key = (program.program, row.server_mode)
            if key not in checked:
                checked[key] = _check_server(bench, row, program)
            runs.why, runs.failed = checked[key], bool(checked[key])
        entrants.append(runs)
    return entrants


def _one(bench: Bench, row: Row, runs: Runs, seconds: float, mode: str) -> None:
    if runs.why:
        runs.samples.append(None)
        return
    try:
        if row.kind != "load":
            runs.samples.append(micro.measure(bench, row, runs.program, seconds))
        else:
            runs.samples.append(server.measure(bench, row, runs.program, seconds, plan.warmup(row, mode)))
    except process.Failed as failed:
        runs.why, runs.failed = str(failed), True
        runs.samples.append(None)


def _compare_work(row: Row, entrants: list[Runs]) -> None:
    """Marks those whose proof of work differs from the others'."""
    checks = {}
    for runs in entrants:
        proofs = {s["check"] for s in runs.samples if s}
        if len(proofs) > 1:
            runs.why, runs.failed = f"does different work from round to round: {' | '.join(sorted(proofs))}", True
        elif proofs:
            checks[runs.program.label] = proofs.pop()
    wrong = micro.differing(checks) if row.kind != "load" else {}
    for runs in entrants:
        if runs.program.label in wrong:
            runs.why, runs.failed = wrong[runs.program.label], True
            runs.samples = [None for _ in runs.samples]


def subject_of(found: dict[str, list[Program]]) -> str:
    """Whose ratios are reported: weft's, or while none of weft is built the first peer's."""
    for peer in peers.PEERS:
        if any(p.ok for mode in found.values() for p in mode if p.peer == peer):
            return peer
    return peers.PEERS[0]


def has_aa(row: Row, mode: str) -> bool:
    """In --quick, of the end-to-end rows only the one at 50,000/s can afford it."""
    return row.aa and (mode != "quick" or row.kind == "micro" or row.rate == 50000)


def run_row(bench: Bench, row: Row, programs: list[Program], subject: str, rounds: int, seconds: float, mode: str,
            checked: dict[tuple[str, str], str], tell: Callable[[int, str], None]) -> Finished:
    entrants = _entrants(bench, row, programs, checked)
    order = list(entrants)
    aa = None
    twin = next((r for r in entrants if r.program.peer == subject and not r.why), None)
    if has_aa(row, mode) and twin:
        aa = Runs(replace(twin.program, variant=AA))
        order.append(aa)
    for number in range(rounds):
        turn = number % len(order) if order else 0
        for runs in order[turn:] + order[:turn]:
            if not runs.why:
                tell(number + 1, runs.program.label)
            _one(bench, row, runs, seconds, mode)
    _compare_work(row, entrants)
    return Finished(row, entrants, seconds, aa)


def run_all(bench: Bench, the_plan: Plan, found: dict[str, list[Program]], subject: str, progress: Progress,
            keep: Callable[[Finished], None]) -> None:
    """Hands each finished row to `keep`."""
    checked: dict[tuple[str, str], str] = {}
    for at, (row, runs) in enumerate(the_plan.rows):
        programs = peers.for_row(row, found, the_plan.mode)
        why = unfit(bench, row)
        factor = plan.scale(the_plan, at) if not why else 1.0
        if not factor:
            why = "left out: the time limit was reached"
        if why:
            keep(Finished(row, [Runs(p, why=why) for p in programs], 0.0, why=why,
                          failed=row.kind == "load" and not bench.weft))
            progress.row(at + 1, row.id, why)
            continue
        began = time.monotonic()
        seconds = plan.measured(row, the_plan.mode, factor)
        keep(run_row(bench, row, programs, subject, the_plan.rounds, seconds, the_plan.mode, checked,
                     lambda number, label: progress.run(at + 1, row.id, number, the_plan.rounds, label)))
        plan.learn(the_plan, row, runs, factor, time.monotonic() - began)
        progress.row(at + 1, row.id, "done")
