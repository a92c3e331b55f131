"""Access to the real-time watchdog (bench/guard.c): a span of time in which server and load may run SCHED_RR.

Priorities: the measured programs 1, the driver and the hiccup meter 2 (or they would starve beside two
spinning threads), the watchdog 3.
"""
import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from suite import process

MEASURED, DRIVER = 1, 2
SETTING = Path("/proc/sys/kernel/sched_rt_runtime_us")


class Lost(Exception):
    """The watchdog ended the run."""


def _start(binary: Path, deadline_s: float) -> tuple[subprocess.Popen, str]:
    child = subprocess.Popen([str(binary), "--deadline", f"{deadline_s:.1f}"], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, process_group=0, text=True)
    assert child.stdout
    return child, child.stdout.readline().strip()


def why_not(binary: Path, cpus: int) -> str:
    """Empty when real-time runs are to be had, else the reason in words."""
    if cpus < 2:
        return "one core only: two spinning real-time threads would freeze it"
    if not binary.exists():
        return f"the watchdog {binary.name} is not built"
    try:
        child, answer = _start(binary, 5)
    except OSError as error:
        return f"the watchdog does not start: {error.strerror}"
    _end(child)
    if not answer.startswith("realtime"):
        return answer.removeprefix("ordinary: ") or "the watchdog said nothing"
    try:
        with _driver_priority():
            pass
    except OSError:
        return "no permission for real-time scheduling"
    return ""


def _end(child: subprocess.Popen) -> None:
    assert child.stdin
    with contextlib.suppress(OSError):
        child.stdin.close()
    try:
        child.wait(timeout=5)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    if child.stdout:
        child.stdout.close()


@contextlib.contextmanager
def _driver_priority() -> Iterator[None]:
    os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(DRIVER))
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


@contextlib.contextmanager
def realtime(binary: Path, deadline_s: float) -> Iterator[None]:
    """Within it the throttle is off and process groups that start are watched; afterwards all is as it was.
    Raises Lost when the watchdog cannot be had or had to end the run."""
    before = SETTING.read_text()
    child, answer = _start(binary, deadline_s)

    def tell(word: str, group: int) -> None:
        assert child.stdin
        with contextlib.suppress(OSError):
            child.stdin.write(f"{word} {group}\n")
            child.stdin.flush()

    try:
        if not answer.startswith("realtime"):
            raise Lost(answer.removeprefix("ordinary: ") or "the watchdog said nothing")
        process.watchers.append(tell)
        with _driver_priority():
            yield
        if child.poll() is not None:
            raise Lost("the watchdog ended the run on its deadline")
    finally:
        if tell in process.watchers:
            process.watchers.remove(tell)
        process.kill_all()
        _end(child)
        if SETTING.read_text() != before:
            SETTING.write_text(before)
