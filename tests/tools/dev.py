#!/usr/bin/env python3
"""./dev and .ci/run: bad input, and the sum of the gate."""
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/bench"))
import tap  # noqa: E402


def dev(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run([ROOT / "dev", *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          env={**os.environ, **environment}, timeout=60)


def refused(words: str, *arguments: str, **environment: str) -> None:
    done = dev(*arguments, **environment)
    tap.equal((arguments, done.returncode, done.stderr.count("\n"), done.stdout), (arguments, 2, 1, ""))
    tap.check(words in done.stderr, done.stderr)


def test_wrong_usage_is_one_line_and_status_2():
    refused("no verb 'nonsense'", "nonsense")
    refused("no verb '--bad'", "--bad")
    for verb in ("setup", "clean", "help", "tidy"):
        refused("'more'", verb, "more")
    refused("no flavour 'fast'", "build", "fast")
    refused("'release debug'", "build", "release", "debug")
    refused("--bad", "test", "--bad")
    refused("--bad", "bench", "--bad")
    refused("--bad", "arm64", "--bad")
    refused("unit/nonsense", "arm64", "unit/nonsense")
    refused("nonsense", "bench", "--only", "nonsense")
    refused("no verb ''", "")
    refused("no verb 'a?b'", "a\nb")
    refused("no flavour ''", "build", "")
    refused("--a?b", "bench", "--a\nb")
    for seconds in ("", "x", "0", "-1", "1.5"):
        refused(f"'{seconds}'", "soak", seconds)
    refused("no/such.c", "fmt", "no/such.c")
    for seed in ("", "x", "-1", "1.5", "99999999999999999999"):
        refused(f"'{seed}'", "sim", seed)
    for count in ("", "x", "0", "-1"):
        refused(f"'{count}'", "sim", "1", count)
    refused("got ''", "sim")
    refused("got '1 2 3'", "sim", "1", "2", "3")


def test_an_unknown_variable_or_value_is_one_line_and_status_2():
    refused("WEFT_NONSENSE=1", "bench", WEFT_NONSENSE="1")
    refused("WEFTTEST_NONSENSE=1", "test", WEFTTEST_NONSENSE="1")
    refused("WEFTTEST_SOAK=x", "soak", WEFTTEST_SOAK="x")


def test_a_tree_that_cannot_be_written_to_is_one_line_and_status_1():
    with tempfile.TemporaryDirectory() as name:
        shutil.copy(ROOT / "dev", name)
        (Path(name) / "build").write_text("in the way")
        for verb in ("build", "clean"):
            done = subprocess.run([Path(name) / "dev", verb], capture_output=True, text=True, timeout=60)
            tap.equal((done.returncode, done.stdout, done.stderr), (1, "", f"dev: cannot write in {name}/build\n"))


def test_a_seed_is_a_run_that_comes_again():
    one, again, other = dev("sim", "7"), dev("sim", "7"), dev("sim", "8")
    tap.equal((one.returncode, one.stderr), (0, ""))
    tap.check(re.fullmatch(r"seed 7: \d+ events, trace [0-9a-f]{16}\n", one.stdout), one.stdout)
    tap.equal(one.stdout, again.stdout)
    tap.check(one.stdout.split(":")[1] != other.stdout.split(":")[1], other.stdout)
    many = dev("sim", "7", "3")
    tap.equal((many.returncode, many.stdout.splitlines()[0] + "\n", many.stdout.splitlines()[-1]),
              (0, one.stdout, "3 seeds, 0 failed"))


def test_help_names_every_verb():
    done = dev("help")
    tap.equal(done.returncode, 0)
    for verb in "setup build test bench asan tsan arm64 sim soak fmt tidy clean help".split():
        tap.check(f"\n  {verb}" in done.stdout.replace("asan [", "asan ["), verb)


# What a fake ./dev says and ends with, by verb.
PASSES = {"test": ("5 passed, 0 failed, 2 skipped", 0), "tidy": ("3 passed, 0 failed", 0), "asan": ("4 passed, 0 failed", 0),
          "tsan": ("4 passed, 0 failed, 1 skipped", 0)}


def gate(**changes: tuple[str, int]) -> tuple[int, str]:
    """.ci/run's status and last line."""
    with tempfile.TemporaryDirectory() as name:
        tree = Path(name)
        (tree / ".ci").mkdir()
        shutil.copy(ROOT / ".ci/run", tree / ".ci/run")
        cases = "\n".join(f"{verb}) echo '{words}'; exit {status} ;;" for verb, (words, status) in {**PASSES, **changes}.items())
        (tree / "dev").write_text(f"#!/bin/sh\necho '1 passed, 1 failed and more'\ncase $1 in\n{cases}\nesac\n")
        (tree / "dev").chmod(0o755)
        done = subprocess.run([tree / ".ci/run"], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)
        return done.returncode, done.stdout.splitlines()[-1]


def test_the_gate_sums_its_parts():
    tap.equal(gate(), (0, "16 passed, 0 failed, 3 skipped"))
    tap.equal(gate(test=("5 passed, 0 failed", 0), tsan=("4 passed, 0 failed", 0)), (0, "16 passed, 0 failed"))


def test_the_gate_fails_when_a_part_does():
    tap.equal(gate(asan=("3 passed, 1 failed", 1)), (1, "15 passed, 1 failed, 3 skipped"))
    tap.equal(gate(asan=("build failed", 1)), (1, "12 passed, 1 failed, 3 skipped"))
    tap.equal(gate(asan=("4 passed, 0 failed", 1)), (1, "16 passed, 1 failed, 3 skipped"))
    tap.equal(gate(asan=("nothing", 0)), (1, "12 passed, 1 failed, 3 skipped"))


if __name__ == "__main__":
    tap.main(globals())
