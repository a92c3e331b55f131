#!/usr/bin/env python3
"""weft-server, weft-micro and weft-memory, given what they cannot take: one line on stderr, and 2 for wrong usage, 1 for a failure;
and that weft-memory does the work that its peers do.

WEFTTEST_BUILD is the build directory.
"""
import os
import socket
import subprocess
import sys
from pathlib import Path

import tap

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench" / "peers"))
import check  # noqa: E402

NOBODY = 65534
FREE = ("--listen", "127.0.0.1:0")


def ran(program: str, *arguments: str, **popen) -> subprocess.CompletedProcess:
    path = Path(os.environ["WEFTTEST_BUILD"]) / "bench" / program
    return subprocess.run([path, *arguments], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace",
                          timeout=60, **{"stdout": subprocess.PIPE, **popen})


def fails(status: int, words: str, program: str, *arguments: str, **popen) -> None:
    done = ran(program, *arguments, **popen)
    tap.equal((arguments, done.returncode, done.stderr.count("\n"), done.stdout or ""), (arguments, status, 1, ""))
    tap.check(done.stderr.startswith(f"{program}: ") and words in done.stderr, done.stderr)


def test_wrong_usage_of_weft_server():
    for words, *arguments in (
            ("--listen ADDR:PORT is wanted",), ("unknown option '--bad'", "--bad"), ("unknown option '-x'", "-x"),
            ("option '--listen' needs a value", "--listen"), ("option '--help=1' takes no value", "--help=1"),
            ("--listen '': want ADDR:PORT", "--listen", ""), ("--listen '127.0.0.1': want", "--listen", "127.0.0.1"),
            ("want ADDR:PORT", "--listen", "127.0.0.1:x"), ("want ADDR:PORT", "--listen", "127.0.0.1:65536"),
            ("want ADDR:PORT", "--listen", "127.0.0.1:-1"), ("--listen 'a?b'", "--listen", "a\nb"),
            ("--mode 'http'", *FREE, "--mode", "http"), ("--mode ''", *FREE, "--mode", ""), ("--threads ''", *FREE, "--threads", ""),
            ("--threads '0'", *FREE, "--threads", "0"), ("--threads '1.5'", *FREE, "--threads", "1.5"),
            ("--threads '1025'", *FREE, "--threads", "1025"), ("--stats '/nonexistent/x': No such", *FREE, "--stats", "/nonexistent/x"),
            ("--stats '/': Is a directory", *FREE, "--stats", "/"), ("unknown argument 'more'", *FREE, "more")):
        fails(2, words, "weft-server", *arguments)


def test_weft_server_that_cannot_listen():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        fails(1, "Address already in use", "weft-server", "--listen", f"127.0.0.1:{taken.getsockname()[1]}")
    fails(1, "no such host", "weft-server", "--listen", "x" * 70 + ":80")  # no resolver is asked for such a label
    fails(1, "Cannot assign requested address", "weft-server", "--listen", "192.0.2.1:80")
    if os.geteuid() == 0:
        fails(1, "--listen '127.0.0.1:80': Permission denied", "weft-server", "--listen", "127.0.0.1:80", user=NOBODY,
              group=NOBODY, extra_groups=[])


def test_wrong_usage_of_weft_micro():
    for words, *arguments in (
            ("one row is wanted",), ("one row is wanted", "ping-pong", "yield-2"), ("no row 'nonsense'", "nonsense"),
            ("no row 'a?b'", "a\nb"), ("unknown option '--bad'", "--bad"), ("unknown option '-x'", "-x"),
            ("option '--procs' needs a value", "ping-pong", "--procs"), ("--procs ''", "ping-pong", "--procs", ""),
            ("--procs '0'", "ping-pong", "--procs", "0"), ("--procs '1.5'", "ping-pong", "--procs", "1.5"),
            ("--procs '1e12'", "ping-pong", "--procs", "1e12"), ("--seconds '-1'", "ping-pong", "--seconds", "-1"),
            ("--seconds 'nan'", "ping-pong", "--seconds", "nan"), ("--seconds '1e400'", "ping-pong", "--seconds", "1e400")):
        fails(2, words, "weft-micro", *arguments)


def test_wrong_usage_of_weft_memory():
    for words, *arguments in (
            ("one row is wanted",), ("one row is wanted", "alloc-16", "alloc-64"), ("no row 'nonsense'", "nonsense"), ("no row 'a?b'", "a\nb"),
            ("unknown option '--bad'", "--bad"), ("option '--procs' needs a value", "alloc-16", "--procs"), ("--procs '0'", "alloc-16", "--procs", "0"),
            ("--seconds 'nan'", "alloc-16", "--seconds", "nan"), ("--seconds '-1'", "alloc-16", "--seconds", "-1")):
        fails(2, words, "weft-memory", *arguments)


def test_weft_memory_does_the_same_work_as_its_peers():
    program = [str(Path(os.environ["WEFTTEST_BUILD"]) / "bench" / "weft-memory")]
    for row in check.rows_of(program):
        check.check_row(program, row, 1, 0.05)
    for row in ("alloc-64", "binary-trees-16", "ring-push"):
        if len(os.sched_getaffinity(0)) > 1:
            check.check_row(program, row, 2, 0.05)


def test_a_full_disk_is_said():
    with open("/dev/full", "w") as full:
        fails(1, "No space left", "weft-micro", "ping-pong", "--seconds", "0.001", stdout=full)
        fails(1, "No space left", "weft-memory", "alloc-256", "--seconds", "0.001", stdout=full)
        fails(1, "No space left", "weft-server", *FREE, stdout=full)


def test_help_names_the_options():
    for program, options in (("weft-server", "listen mode threads stats version"), ("weft-micro", "procs seconds list version"), ("weft-memory", "procs seconds list version")):
        done = ran(program, "--help")
        tap.equal((done.returncode, done.stderr), (0, ""))
        tap.check(all(f"--{option}" in done.stdout for option in options.split()), done.stdout)


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)
    tap.main(globals())
