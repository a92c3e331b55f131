#!/usr/bin/env python3
"""build/bench/weft-lockfree: every row has a figure, and wrong usage is one line."""
import os
import re
import subprocess
from pathlib import Path

import fakes
import tap

PROGRAM = Path(os.environ.get("WEFTTEST_LOCKFREE", fakes.SOURCE / "build/bench/weft-lockfree"))


def run(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([str(PROGRAM), *arguments], capture_output=True, text=True, timeout=120,
                          stdin=subprocess.DEVNULL)


def rows() -> dict[str, bool]:
    """Name -> whether it takes two cores."""
    done = run("--help")
    tap.equal((done.returncode, done.stderr), (0, ""))
    listed = done.stdout.split("rows:\n")[1].splitlines()
    return {line.split()[0]: "two cores" in line for line in listed}


def test_every_row_has_a_figure():
    done = run("--seconds", "0.01")
    tap.equal(done.returncode, 0)
    one_cpu = len(os.sched_getaffinity(0)) < 2
    want = [name for name, two in rows().items() if not (two and one_cpu)]
    figures = [re.fullmatch(r"([a-z0-9-]+) (\d+\.\d\d)", line) for line in done.stdout.splitlines()]
    tap.check(all(figures), done.stdout)
    tap.equal([f[1] for f in figures], want)


def test_a_row_by_its_name():
    done = run("--seconds", "0.01", "spin-own")
    tap.equal((done.returncode, done.stderr), (0, ""))
    tap.check(re.fullmatch(r"spin-own \d+\.\d\d\n", done.stdout), done.stdout)


def test_wrong_usage_is_one_line_and_status_2():
    for arguments in (["--seconds"], ["--seconds", "no"], ["--seconds", "0"], ["--seconds", "nan"], ["--what"], ["no-row"]):
        done = run(*arguments)
        tap.equal((done.returncode, done.stdout), (2, ""))
        tap.equal(len(done.stderr.splitlines()), 1)


if __name__ == "__main__":
    tap.main(globals())
