"""One run of an end-to-end row: a server on one core, `weft load` on another, the machine's hiccups beside.

The server's CPU time is read from its process clock (nanoseconds) twice within the measured time, after the
warm-up and before the end, and divided by the requests of that stretch. A spinning server says in a shared file
how much it burnt without finding work; that part is subtracted and shown apart. What remains is split into user
and system in the proportion of the kernel's ticks over the same stretch.
"""
import contextlib
import json
import math
import re
import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from suite import guard, hiccup, histogram, process
from suite.machine import Bench
from suite.peers import Program
from suite.rows import CONNECTIONS, Row

# Newer kernels give threads that starved for most of a second a slice of 50 ms, whatever the real-time throttle
# says. A real-time run is therefore made of pieces that end before that, and the system breathes between them.
REALTIME_PIECE_S = 0.6
REALTIME_WARMUP_S = 0.15
BODY = "Hello, World!"
ECHO_BYTES = 64
RAW_ANSWER = ("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\n" + BODY).encode()


@contextlib.contextmanager
def serving(bench: Bench, row: Row, program: Program, priority: int,
            stats: Path) -> Iterator[tuple[subprocess.Popen, int]]:
    """A running server and its port. A server that does not end on SIGTERM is killed, and that is a failure."""
    argv = [*program.argv, "--mode", row.server_mode, "--listen", "127.0.0.1:0", "--stats", str(stats),
            "--threads", "1"]
    child = process.start(argv, [bench.server_cpu], priority, program.env)
    try:
        line = process.read_line(child, 10)
        m = re.search(r"listening on \S+:(\d+)$", line)
        if not m:
            raise process.Failed(f"{program.program} said {line[:80]!r} instead of where it listens")
        yield child, int(m[1])
        status, _ = process.stop(child)
        if status != 0:
            raise process.Failed(f"{program.program} ended with status {status} on SIGTERM")
    finally:
        process.forget(child)


def _exchange(port: int, request: bytes, enough: int) -> bytes:
    """Sends and reads until `enough` bytes, or a second of silence."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=2) as conn:
        conn.settimeout(1)
        conn.sendall(request)
        with contextlib.suppress(TimeoutError):
            while len(answer) < enough:
                part = conn.recv(65536)
                if not part:
                    break
                answer += part
    return answer


def _get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()


def wrong_answer(mode: str, port: int) -> str:
    """Does the server do the work of its class? Empty, or what it got wrong."""
    try:
        if mode == "echo":
            sent = bytes(range(ECHO_BYTES))
            return "" if _exchange(port, sent, ECHO_BYTES) == sent else "echoes other bytes"
        if mode == "raw":
            got = _exchange(port, _get("/plaintext") * 2, 2 * len(RAW_ANSWER))
            return "" if got == RAW_ANSWER * 2 else f"answers {got[:60]!r} to two pipelined requests"
        got = _exchange(port, _get("/plaintext"), 1)
        head, _, body = got.partition(b"\r\n\r\n")
        names = {line.split(b":")[0].lower() for line in head.split(b"\r\n")[1:]}
        if not head.startswith(b"HTTP/1.1 200 ") or body != BODY.encode():
            return f"answers {got[:60]!r} to GET /plaintext"
        lacking = [n.decode() for n in (b"content-type", b"content-length", b"date") if n not in names]
        if lacking:
            return f"sends no {', '.join(lacking)} header"
        if not _exchange(port, _get("/nowhere"), 1).startswith(b"HTTP/1.1 404 "):
            return "does not answer 404 to an unknown path"
        return ""
    except OSError as error:
        return f"does not answer: {error}"


class Clocks(NamedTuple):
    """What a server has used by `at`: its process clock, the kernel's ticks, what it says it spun."""
    at: float
    total_s: float
    user_ticks: int
    system_ticks: int
    spin_ns: int


def _clocks(pid: int, stats: Path) -> Clocks:
    at, total = time.monotonic(), time.clock_gettime((~pid << 3) | 2)
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    raw = stats.read_bytes()[:8]
    return Clocks(at, total, int(fields[11]), int(fields[12]), struct.unpack("<Q", raw)[0] if len(raw) == 8 else 0)


def _load_argv(bench: Bench, row: Row, port: int, seconds: float, warmup: float, dump: Path) -> list[str]:
    where = f"tcp://127.0.0.1:{port}" if row.server_mode == "echo" else f"http://127.0.0.1:{port}/plaintext"
    argv = [bench.weft, "load", where, "--connections", str(CONNECTIONS), "--duration", f"{seconds:g}",
            "--warmup", f"{warmup:g}", "--cpu", str(bench.load_cpu), "--histogram", str(dump),
            "--json"]
    argv += ["--rate", str(row.rate)] if row.rate else ["--closed"]
    return argv + (["--size", str(ECHO_BYTES)] if row.server_mode == "echo" else ["--expect-body", BODY])


def measure(bench: Bench, row: Row, program: Program, seconds: float, warmup: float) -> dict:
    """A sample; raises process.Failed."""
    if not row.realtime:
        return _measure(bench, row, program, seconds, warmup, 0)
    pieces = realtime_pieces(seconds)
    samples = []
    try:
        for _ in range(pieces):
            with guard.realtime(bench.guard, seconds + warmup + 15):
                samples.append(_measure(bench, row, program, seconds / pieces, REALTIME_WARMUP_S, guard.MEASURED))
    except guard.Lost as lost:
        raise process.Failed(f"real-time run lost: {lost}") from None
    return _joined(samples)


def realtime_pieces(seconds: float) -> int:
    return max(1, math.ceil(seconds / REALTIME_PIECE_S - 1e-9))


def _joined(samples: list[dict]) -> dict:
    """The pieces of one real-time run as one sample: percentiles of all of them, means of what is per request."""
    if len(samples) == 1:
        return samples[0]
    merged = histogram.merge(s["histogram"] for s in samples)
    invalid = [s["why"] for s in samples if not s["valid"]]
    metrics: dict[str, float | None] = {m: histogram.percentile(merged, q) for m, q in histogram.PERCENTILES.items()}
    for name in samples[0]["metrics"].keys() - metrics.keys():
        values = [s["metrics"][name] for s in samples if s["metrics"][name] is not None]
        metrics[name] = fmean(values) if values else None
    return {**samples[0], "metrics": metrics, "histogram": merged, "count": sum(s["count"] for s in samples),
            "max": max((s["max"] for s in samples if s["max"] is not None), default=None),
            "hiccups": hiccup.joined([s["hiccups"] for s in samples]),
            "valid": 2 * len(invalid) < len(samples), "why": invalid[0] if invalid else ""}


def _measure(bench: Bench, row: Row, program: Program, seconds: float, warmup: float, priority: int) -> dict:
    with tempfile.TemporaryDirectory(prefix="weft-bench-") as scratch:
        stats = Path(scratch) / "stats"
        stats.write_bytes(bytes(8))
        with serving(bench, row, program, priority, stats) as (child, port):
            meter = hiccup.begin(bench, sorted({bench.server_cpu, bench.load_cpu}),
                                 guard.DRIVER if priority else 0)
            try:
                said, cpu = _loaded(bench, row, child, port, seconds, warmup, priority, stats)
            finally:
                hiccups = hiccup.end(meter)
        sample = _sample(program, said, cpu, hiccups)
        with contextlib.suppress(OSError, ValueError):
            sample["histogram"] = histogram.from_dump(_dump_of(stats).read_text())
    if bench.server_cpu == bench.load_cpu:
        sample |= {"valid": False, "why": "server and load share the only core"}
    return sample


def _dump_of(stats: Path) -> Path:
    return stats.with_name("histogram")


def _loaded(bench: Bench, row: Row, server: subprocess.Popen, port: int, seconds: float, warmup: float,
            priority: int, stats: Path) -> tuple[dict, tuple[Clocks, Clocks]]:
    """What the generator said, and the server's CPU clocks early and late in the measured time."""
    load = process.start(_load_argv(bench, row, port, seconds, warmup, _dump_of(stats)), [bench.load_cpu],
                         priority)
    try:
        time.sleep(warmup + 0.1 * seconds)
        early = _clocks(server.pid, stats)
        time.sleep(0.8 * seconds)
        if server.poll() is not None:
            raise process.Failed(f"the server died under load: {process.last_words(server)}")
        late = _clocks(server.pid, stats)
        out = process.finish(load, seconds + 20, accept=(0, 1))
        try:
            return json.loads(out), (early, late)
        except ValueError:
            words = process.last_words(load)
            raise process.Failed(f"the load generator failed: {words or out.strip()[:80]}") from None
    except OSError as error:
        raise process.Failed(f"the server died under load: {error}") from None
    finally:
        process.forget(load)


def _cpu_per_op(early: Clocks, late: Clocks, rate: float) -> dict[str, float | None]:
    ops = rate * (late.at - early.at)
    if ops <= 0:
        return {"cpu": None, "cpu_user": None, "cpu_system": None, "cpu_spin": None}
    total, spin = (late.total_s - early.total_s) * 1e6, (late.spin_ns - early.spin_ns) / 1e3
    user_ticks, system_ticks = late.user_ticks - early.user_ticks, late.system_ticks - early.system_ticks
    ticks = user_ticks + system_ticks
    net = max(0.0, total - spin) / ops
    return {"cpu": net, "cpu_spin": spin / ops, "cpu_user": net * user_ticks / ticks if ticks else None,
            "cpu_system": net * system_ticks / ticks if ticks else None}


def _sample(program: Program, said: dict, cpu: tuple[Clocks, Clocks], hiccups: dict) -> dict:
    for word in ("errors", "timeouts", "mismatches"):
        if said.get(word):
            raise process.Failed(f"{program.program}: {said[word]} {word} under load")
    latency = said.get("latency_us") or {}
    rate = float(said.get("achieved_rate") or 0)
    metrics = {name: latency.get(name) for name in histogram.PERCENTILES}
    metrics |= {"rate": rate, **_cpu_per_op(*cpu, rate)}
    count = int(latency.get("count") or said.get("requests") or 0)
    return {"metrics": metrics, "count": count, "max": latency.get("max"), "hiccups": hiccups, "check": "",
            "histogram": histogram.from_points(said.get("percentiles") or [], latency.get("max"), count),
            "valid": bool(said.get("valid", True)), "why": said.get("why") or "",
            "offered_rate": said.get("offered_rate"), "lateness": said.get("lateness_us"),
            "load_cpu": said.get("cpu_us_per_op")}
