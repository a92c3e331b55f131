"""tests/names.txt: every test there is, and the skips that are expected where.

A line is `PROGRAM TEST`, and behind it, for a test that some machines or flavours cannot run, `skip` and the
conditions under which it may be skipped: `skip no-go` or `skip debug,no-chromium`. A skip under no such condition is
a failure (tests/run.py), and so is a test that is not in the list, or only there (tests/tidy). `only asan` stands behind the tests
of a program that no other flavour has.
"""
import ctypes
import errno
import json
import os
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

LIST = Path(__file__).resolve().parent / "names.txt"
RT_RUNTIME = Path("/proc/sys/kernel/sched_rt_runtime_us")
IO_URING_SETUP = 425


@dataclass(frozen=True)
class Skip:
    """A skip that has happened: where, and the reason that the test gave, if it gave one."""
    flavour: str
    reason: str


def _io_uring_is_refused() -> bool:
    """Asked for nothing, a kernel that has it answers EINVAL or EFAULT."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall(IO_URING_SETUP, 0, None)
    return ctypes.get_errno() in (errno.ENOSYS, errno.EPERM, errno.EACCES)


def _localhost_is_elsewhere() -> bool:
    try:
        return socket.gethostbyname("localhost") != "127.0.0.1"
    except OSError:
        return True


def _no_groups_can_be_made() -> bool:
    """Of cgroup v1, or by us; or there is a quota already, which is all that a group may have."""
    group = Path("/sys/fs/cgroup/cpu")
    if not all(os.access(group.parent / name / "cgroup.procs", os.W_OK) for name in ("cpu", "cpuset")):
        return True
    try:
        return (group / "cpu.cfs_quota_us").read_text().strip() != "-1"
    except OSError:
        return True


def _throttle_is_off() -> bool:
    try:
        return RT_RUNTIME.read_text().strip() == "-1"
    except OSError:
        return False


CONDITIONS = {
    "arm64": lambda skip: skip.flavour == "arm64",  # under qemu
    "debug": lambda skip: skip.flavour == "debug",
    "one-cpu": lambda skip: len(os.sched_getaffinity(0)) < 2,
    "no-chromium": lambda skip: not any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))),
    "no-gdb": lambda skip: not shutil.which("gdb"),
    "no-core": lambda skip: Path("/proc/sys/kernel/core_pattern").read_text().startswith("|"),
    "no-go": lambda skip: not shutil.which("go"),
    "no-cargo": lambda skip: not (shutil.which("cargo") and shutil.which("rustc")),
    "no-io_uring": lambda skip: _io_uring_is_refused(),
    "no-localhost": lambda skip: _localhost_is_elsewhere(),
    "unprivileged": lambda skip: os.geteuid() != 0 or not os.access(RT_RUNTIME, os.W_OK),
    "no-cgroup": lambda skip: _no_groups_can_be_made(),
    "throttle-off": lambda skip: _throttle_is_off(),
    # It has ended by the time we would look.
    "bench-running": lambda skip: "a bench is under way" in skip.reason,
}


class Malformed(Exception):
    """A line of the list that cannot be read."""


def read(path: Path = LIST) -> dict[tuple[str, str], list[str]]:
    """(program, test) -> the conditions under which it may be skipped."""
    tests: dict[tuple[str, str], list[str]] = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        words = line.split()
        if not words or line.startswith("#"):
            continue
        conditions = words[3].split(",") if len(words) == 4 and words[2] == "skip" else []
        if len(words) != 2 and not conditions and words[2:3] != ["only"]:
            raise Malformed(f"{path.name}:{number}: want PROGRAM TEST [skip CONDITION,...] [only FLAVOUR]")
        for condition in conditions:
            if condition not in CONDITIONS:
                raise Malformed(f"{path.name}:{number}: unknown condition '{condition}'")
        if (words[0], words[1]) in tests:
            raise Malformed(f"{path.name}:{number}: {words[0]} {words[1]} is there twice")
        tests[words[0], words[1]] = conditions
    return tests


def elsewhere(build: Path, path: Path = LIST) -> list[str]:
    """The lines of tests that only another flavour has."""
    flavour = flavour_of(build)
    return [line for line in path.read_text().splitlines() if line.split()[2:3] == ["only"] and line.split()[3:] != [flavour]]


def flavour_of(build: Path) -> str:
    options = {o["name"]: o["value"] for o in json.loads((build / "meson-info/intro-buildoptions.json").read_text())}
    if "thread" in options["b_sanitize"]:
        return "tsan"
    if "address" in options["b_sanitize"]:
        return "asan"
    if build.name == "arm64":
        return "arm64"
    return "debug" if options["optimization"] == "0" else "release"
