#!/usr/bin/env python3
"""tuning/gdb/weft.py, on a program that has been stopped and on its core.

usage: tests/tools/gdb.py PROGRAM       tests/tools/gdb.py --list
"""
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/bench"))
import tap  # noqa: E402

PROGRAM = Path(sys.argv.pop(1)).resolve() if len(sys.argv) > 1 and Path(sys.argv[1]).is_file() else None
SCRIPT = ROOT / "tuning/gdb/weft.py"
ENV = {**os.environ, "WEFT_PROCS": "2", "DEBUGINFOD_URLS": ""}


def gdb(program: list, *commands: str) -> str:
    if not shutil.which("gdb"):
        raise tap.Skip("no gdb")
    arguments = ["gdb", "-nx", "-batch", "-ex", "set width 0"]
    for command in commands:
        arguments += ["-ex", command]
    done = subprocess.run([*arguments, *program], capture_output=True, text=True, stdin=subprocess.DEVNULL, env=ENV, timeout=100)
    return done.stdout + done.stderr


def goroutines(words: str) -> dict:
    """By number: what stands behind it in the list."""
    lines = [line[2:].split(None, 1) for line in words.splitlines() if line[:2] in ("  ", "* ") and line[2:3].isdigit()]
    return {int(number): rest.split() for number, rest in lines}


def check_company(words: str) -> None:
    listed = goroutines(words)
    tap.equal(listed[1], ["running", "-", "main_goroutine"])
    tap.equal(listed[2], ["chan", "receive", "worker", "wait_here"])
    tap.equal(listed[3], ["chan", "receive", "-", "wait_here"])
    tap.check("* 1 " in words, words)
    tap.check("in weft_recv (" in words and "wait_here (" in words and "context_entry ()" in words, words)


def test_a_stopped_program_shows_its_goroutines():
    words = gdb([PROGRAM], "run", f"source {SCRIPT}", "info goroutines", "goroutine 2 bt", "echo behind\\n", "bt 1")
    check_company(words)
    tap.check("#0 " not in words.split("wait_here (")[0].rsplit("#1 ", 1)[1], words)
    tap.check("wait_here" not in words.split("behind\n")[1], "gdb stands where it stood before")


def test_one_that_runs_is_shown_where_it_runs():
    words = gdb([PROGRAM], "run", "thread 1", f"source {SCRIPT}", "goroutine 1 bt", "thread")
    tap.check("in app (" in words, words)
    tap.check("Current thread is 1 " in words, words)


def test_wrong_usage_is_said():
    words = gdb([PROGRAM], "run", f"source {SCRIPT}", "goroutine", "goroutine 2", "goroutine 99 bt")
    tap.equal(words.count("usage: goroutine N COMMAND"), 2)
    tap.check("there is no goroutine 99" in words, words)


def test_a_core_shows_its_goroutines():
    if Path("/proc/sys/kernel/core_pattern").read_text().startswith("|"):
        raise tap.Skip("cores go to a program")
    with tempfile.TemporaryDirectory() as tree:
        def with_core():
            resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)
        subprocess.run([PROGRAM], cwd=tree, preexec_fn=with_core, stderr=subprocess.DEVNULL, env=ENV, timeout=50)
        cores = list(Path(tree).glob("core*"))
        tap.equal(len(cores), 1)
        check_company(gdb([PROGRAM, cores[0]], f"source {SCRIPT}", "info goroutines", "goroutine 2 bt"))


if __name__ == "__main__":
    tap.main(globals())
