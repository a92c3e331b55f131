"""One run of the command under a setting: what it reported, its memory, its CPU time, its collector.

The peak of resident memory. VmHWM is exact, but gone when the process has ended, so it is read while it runs, often at
first and then every SAMPLE_S. What wait4(2) tells at the end covers the children that a shell has waited for, and misses
nothing, but it began before exec(2): it is at least what this tuner had when it forked. Where it says more than that,
it is right, and the larger of the two is taken; a program smaller than the tuner is told by VmHWM alone.
"""
import os
import re
import resource
import select
import shlex
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from suite import process
from tune import figures, gctrace
from tune.setting import Setting

SAMPLE_S = 0.02
FIRST_SAMPLES_S = 0.002
STDOUT_MAX = 64 << 20
STOP_PATIENCE_S = 15.0
_LISTENING = re.compile(rb"listening on (\S+:\d+)\s*$", re.M)


@dataclass(frozen=True)
class Command:
    argv: list[str]
    load: list[str]  # empty: the command ends by itself
    timeout: float


class Watched:
    """A child that is read, sampled, and reaped with its rusage."""

    def __init__(self, argv: list[str], environment: dict[str, str]) -> None:
        self.floor = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        self.child = process.start(argv, os.sched_getaffinity(0), env=environment)
        self.name = os.path.basename(argv[0])
        self.ended = os.pidfd_open(self.child.pid)
        self.stdout = self.child.stdout.fileno()
        os.set_blocking(self.stdout, False)
        self.out, self.open = bytearray(), True
        self.usage: resource.struct_rusage | None = None
        self.peak = 0
        self.sample()

    def sample(self) -> None:
        try:
            m = re.search(r"^VmHWM:\s+(\d+) kB", Path(f"/proc/{self.child.pid}/status").read_text(), re.M)
        except OSError:
            return
        self.peak = max(self.peak, int(m[1]) * 1024 if m else 0)

    def read(self) -> None:
        while self.open:
            try:
                part = os.read(self.stdout, 1 << 16)
            except BlockingIOError:
                return
            self.open = bool(part)
            self.out += part
            if len(self.out) > STDOUT_MAX:
                raise process.Failed(f"{self.name} printed more than {STDOUT_MAX >> 20} MiB on stdout")

    def reap(self) -> None:
        _, status, self.usage = os.wait4(self.child.pid, 0)
        self.child.returncode = os.waitstatus_to_exitcode(status)
        self.read()

    @property
    def running(self) -> bool:
        return self.usage is None

    def end(self) -> None:
        """It and its group, whatever state it is in: asked first, for what it would leave behind."""
        if self.running:
            self.terminate()
            if select.select([self.ended], [], [], 1.0)[0]:
                self.reap()
        process.forget(self.child)
        os.close(self.ended)

    def terminate(self) -> None:
        try:
            os.killpg(self.child.pid, signal.SIGTERM)
        except ProcessLookupError:
            pass

    @property
    def rss(self) -> int:
        whole = self.usage.ru_maxrss * 1024
        return max(self.peak, whole) if whole > self.floor or not self.peak else self.peak


def _watch(children: list[Watched], until: float, enough: Callable[[], bool]) -> bool:
    """Reads, samples and reaps them until it is enough; false when the time is over."""
    began = time.monotonic()
    while not enough():
        now = time.monotonic()
        if now >= until:
            return False
        pause = FIRST_SAMPLES_S if now < began + SAMPLE_S else SAMPLE_S
        running = {one.ended: one for one in children if one.running}
        speaking = {one.stdout: one for one in children if one.open and one.running}
        ready, _, _ = select.select([*running, *speaking], [], [], min(pause, until - now))
        for one in running.values():
            one.sample()
        for fd in ready:
            if fd in speaking:
                speaking[fd].read()
            else:
                running[fd].reap()
    return True


class _Stderr:
    """What a child said there, taken apart."""

    def __init__(self, child: subprocess.Popen) -> None:
        self.trace, self.reports, self.last = gctrace.Trace(), [], ""
        child.errors.seek(0)
        for raw in child.errors:
            line = raw.decode(errors="replace").rstrip()
            if gctrace.is_line(line):
                self.trace.add(line)
            elif figures.is_report(line):
                self.reports.append(line)
            elif line.strip():
                self.last = line.strip()[:200]


def _failed(one: Watched, words: str) -> process.Failed:
    last = _Stderr(one.child).last
    return process.Failed(f"{one.name} {words}" + (f": {last}" if last else ""))


def _how_it_ended(status: int) -> str:
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"was killed by signal {-status}"


def _check_ended(one: Watched, accept: tuple[int, ...]) -> None:
    if one.child.returncode not in accept:
        raise _failed(one, _how_it_ended(one.child.returncode))


def _figures(children: list[Watched]) -> dict[str, float]:
    """Of the command, and of the load, which has the last word."""
    found: dict[str, float] = {}
    for one in children:
        found |= figures.read(one.out.decode(errors="replace"), _Stderr(one.child).reports)
    if not found:
        raise _failed(children[-1], "reports no figure")
    return found


def _result(server: Watched, reported: dict[str, float]) -> dict:
    trace, usage = _Stderr(server.child).trace, server.usage
    return {"figures": {**reported, "rss": server.rss, "cpu_s": usage.ru_utime + usage.ru_stime, **trace.figures()},
            "unread": trace.unread}


def _run_alone(command: Command, environment: dict[str, str], children: list[Watched]) -> dict:
    one = Watched(command.argv, environment)
    children.append(one)
    if not _watch(children, time.monotonic() + command.timeout, lambda: not one.running):
        raise _failed(one, f"did not end within {command.timeout:g} s")
    _check_ended(one, (0,))
    return _result(one, _figures(children))


def _run_loaded(command: Command, environment: dict[str, str], children: list[Watched]) -> dict:
    until = time.monotonic() + command.timeout
    server = Watched(command.argv, environment)
    children.append(server)
    if not _watch(children, until, lambda: not server.running or bool(_LISTENING.search(server.out))):
        raise _failed(server, f"said no 'listening on ADDR:PORT' within {command.timeout:g} s")
    if not server.running:
        raise _failed(server, _how_it_ended(server.child.returncode) + " instead of serving")
    where = _LISTENING.search(server.out)[1].decode(errors="replace")
    load = Watched([word.replace("{url}", f"http://{where}").replace("{addr}", where) for word in command.load], {})
    children.append(load)
    if not _watch(children, until, lambda: not load.running or not server.running):
        raise _failed(load, f"did not end within {command.timeout:g} s")
    if not server.running:
        raise _failed(server, _how_it_ended(server.child.returncode) + " under load")
    if load.child.returncode:
        _explain(server, load)
    _stop(server, children)
    return _result(server, _figures(children))


def _explain(server: Watched, load: Watched) -> None:
    """Of a load that failed: it may say why; or it was the server that died, which may be seen a moment later."""
    figures.read(load.out.decode(errors="replace"), _Stderr(load.child).reports)
    if _watch([server], time.monotonic() + 1.0, lambda: not server.running):
        raise _failed(server, _how_it_ended(server.child.returncode) + " under load")
    raise _failed(load, _how_it_ended(load.child.returncode))


def _stop(server: Watched, children: list[Watched]) -> None:
    server.terminate()
    if not _watch(children, time.monotonic() + STOP_PATIENCE_S, lambda: not server.running):
        raise _failed(server, f"did not end within {STOP_PATIENCE_S:g} s of SIGTERM")
    _check_ended(server, (0, -signal.SIGTERM, 128 + signal.SIGTERM))


def run(command: Command, one: Setting) -> dict:
    """{seconds, figures} or {seconds, why}."""
    began, children = time.monotonic(), []
    environment = {**one.environment(), "WEFT_DEBUG": gctrace.switched_on(os.environ.get("WEFT_DEBUG", ""))}
    try:
        result = (_run_loaded if command.load else _run_alone)(command, environment, children)
    except process.Failed as failed:
        result = {"why": re.sub(r"[\x00-\x1f\x7f]", "?", str(failed))}
    finally:
        for child in reversed(children):
            child.end()
    return {"seconds": round(time.monotonic() - began, 4), **result}


def words(command: Command) -> str:
    return shlex.join(command.argv)
