"""Child processes: each in a group of its own, pinned, scheduled, and gone when the driver is gone.

Three nets, each under the one before: stop() and the `finally` of whoever started it; kill_all() when the
driver is interrupted; PR_SET_PDEATHSIG when the driver itself is killed.
"""
import ctypes
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from typing import IO

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1
_live: dict[int, subprocess.Popen] = {}
watchers: list[Callable[[str, int], None]] = []  # told ("add" | "drop", process group)


class Failed(Exception):
    """A child did not do its work; the text says why, in one line."""


def _prepare(parent: int, cpus: Sequence[int], priority: int) -> None:
    """In the child, before exec."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(127)
    os.sched_setaffinity(0, cpus)
    if priority:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(priority))


def start(argv: Sequence[str], cpus: Iterable[int], priority: int = 0,
          env: dict[str, str] | None = None, stderr: IO | None = None) -> subprocess.Popen:
    """priority: 0 ordinary scheduling, else SCHED_RR. stdout is a pipe; stderr, unless it goes elsewhere, a file
    that last_words() reads."""
    parent, cpu_list = os.getpid(), list(cpus)
    errors = tempfile.TemporaryFile()
    try:
        child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=stderr or errors,
                                 process_group=0, env={**os.environ, **(env or {})},
                                 preexec_fn=lambda: _prepare(parent, cpu_list, priority))
    except (OSError, subprocess.SubprocessError) as error:
        errors.close()
        raise Failed(f"{os.path.basename(argv[0])} does not start: {error}") from None
    child.errors = errors  # type: ignore[attr-defined]
    _live[child.pid] = child
    for watcher in watchers:
        watcher("add", child.pid)
    return child


def last_words(child: subprocess.Popen) -> str:
    """The last line it wrote on stderr, for a reason."""
    errors = child.errors  # type: ignore[attr-defined]
    errors.seek(0)
    lines = errors.read().decode(errors="replace").strip().splitlines()
    return lines[-1][:200] if lines else ""


def forget(child: subprocess.Popen) -> None:
    """Its group is ended with it, then nothing of it is kept."""
    if child.pid not in _live:
        return
    if child.poll() is None:
        _signal_group(child.pid, signal.SIGKILL)
        child.wait()
    else:
        _signal_group(child.pid, signal.SIGKILL)
    del _live[child.pid]
    for watcher in watchers:
        watcher("drop", child.pid)
    if child.stdout:
        child.stdout.close()
    child.errors.close()  # type: ignore[attr-defined]


def _signal_group(group: int, signo: int) -> None:
    try:
        os.killpg(group, signo)
    except (ProcessLookupError, PermissionError):
        pass


def stop(child: subprocess.Popen, patience_s: float = 2.0) -> tuple[int, bytes]:
    """SIGTERM, then SIGKILL. Returns its status and what it still had to say on stdout."""
    if child.poll() is None:
        child.send_signal(signal.SIGTERM)
    try:
        out, _ = child.communicate(timeout=patience_s)
    except subprocess.TimeoutExpired:
        _signal_group(child.pid, signal.SIGKILL)
        out, _ = child.communicate()
    return child.returncode, out


def kill_all() -> None:
    for child in list(_live.values()):
        forget(child)


def read_line(child: subprocess.Popen, patience_s: float) -> str:
    """The next line of its stdout, without buffering ahead; Failed when none comes."""
    assert child.stdout
    fd, line, until = child.stdout.fileno(), bytearray(), time.monotonic() + patience_s
    name = os.path.basename(str(child.args[0]))  # type: ignore[index]
    while True:
        left = until - time.monotonic()
        if left <= 0 or not select.select([fd], [], [], left)[0]:
            raise Failed(f"{name} said nothing within {patience_s:g} s")
        byte = os.read(fd, 1)
        if not byte:
            child.wait()
            words = last_words(child)
            raise Failed(words or f"{name} ended with status {child.returncode}")
        if byte == b"\n":
            return line.decode(errors="replace")
        line += byte


def run(argv: Sequence[str], cpus: Iterable[int], patience_s: float, priority: int = 0,
        env: dict[str, str] | None = None) -> str:
    """Runs to the end and returns stdout; Failed on a status other than 0 or when it takes too long."""
    child = start(argv, cpus, priority, env)
    try:
        return finish(child, patience_s)
    finally:
        forget(child)


def finish(child: subprocess.Popen, patience_s: float, accept: Sequence[int] = (0,)) -> str:
    name = os.path.basename(str(child.args[0]))  # type: ignore[index]
    try:
        out, _ = child.communicate(timeout=patience_s)
    except subprocess.TimeoutExpired:
        raise Failed(f"{name} did not end within {patience_s:.0f} s") from None
    if child.returncode not in accept:
        words = last_words(child)
        raise Failed(f"{name} ended with status {child.returncode}" + (f": {words}" if words else ""))
    return out.decode(errors="replace")
