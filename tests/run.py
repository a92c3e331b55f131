#!/usr/bin/env python3
"""Runs the tests of a build directory through meson; prints what failed, what was skipped, and the count.

usage: tests/run.py BUILD_DIR [NAME ...]               NAME: a test program, as in `unit/chan`
       tests/run.py --soak SECONDS BUILD_DIR [...] [-- NAME ...]   the stress tests, or those, until the time is over

The last line is `N passed, N failed`, followed by `, N skipped` if any were. Each TEST of a program counts as one;
a program that died before its plan was done counts as one failure more. A skip that tests/names.txt does not
expect here is a failure.

Ends with 0 all passed, 1 something failed or nothing ran, 2 wrong usage.
"""
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import expected

TESTS = Path(__file__).resolve().parent
SOAK_FACTOR = "10"
STDERR_LINES = 200


class Wrong(Exception):
    """Wrong usage: one line, status 2."""

    def __str__(self):
        return re.sub(r"[\x00-\x1f\x7f]", "?", super().__str__())


def tap_results(stdout):
    """Yields (name, outcome, detail) for each line of a TAP stream."""
    for line in stdout.splitlines():
        m = re.match(r"(not )?ok \d+ (\S+)(?: # (.*))?$", line)
        if m:
            outcome = "failed" if m[1] else "skipped" if (m[3] or "").startswith("SKIP") else "passed"
            yield m[2], outcome, m[3] or ""


class Count:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.races = 0  # of what stress tests race: their lines `# races=N`

    def add(self, outcome):
        setattr(self, outcome, getattr(self, outcome) + 1)

    def __str__(self):
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        return f"{self.passed} passed, {self.failed} failed{skipped}"

    @property
    def status(self):
        return 1 if self.failed or not self.passed else 0


def program_names(build):
    try:
        tests = json.loads((build / "meson-info/intro-tests.json").read_text())
    except OSError:
        raise Wrong(f"no configured build in '{build}'") from None
    return [test["name"] for test in tests]


def judge(build, program, names, count):
    """Counts one program of meson's log, and says what is to be said of it."""
    name = program["name"].split(" / ")[-1]
    stdout, stderr = program.get("stdout", ""), program.get("stderr", "")
    count.races += sum(map(int, re.findall(r"^# races=(\d+)", stderr, re.M)))
    before, results = count.failed, list(tap_results(stdout))
    for test, outcome, detail in results:
        if outcome == "skipped":
            skip = expected.Skip(expected.flavour_of(build), detail)
            conditions = names.get((name, test), [])
            if any(expected.CONDITIONS[c](skip) for c in conditions):
                print(f"skipped {name} {test} ({detail})")
            else:
                outcome = "failed"
                detail = f"an unexpected skip: {detail}; tests/names.txt allows {', '.join(conditions) or 'none'}"
        count.add(outcome)
        if outcome == "failed":
            print(f"FAILED {name} {test} ({detail})")
    plan = re.search(r"^1\.\.(\d+)$", stdout, re.M)
    complete = plan and int(plan[1]) == len(results)
    if not complete or (program["result"] in ("FAIL", "ERROR", "TIMEOUT") and count.failed == before):
        count.add("failed")
        print(f"FAILED {name}: the program did not finish ({program['result']})")
    if count.failed > before:
        print("\n".join("    " + text for text in stderr.splitlines()[:STDERR_LINES]))
    sys.stdout.flush()


def run(build, programs, count, environment=None, more=()):
    """Runs the programs, all if there are none named, and adds to the count."""
    names = expected.read()
    log, console = build / "meson-logs/testlog.json", build / "meson-logs/test-console.txt"
    log.parent.mkdir(exist_ok=True)
    log.unlink(missing_ok=True)
    command = ["meson", "test", "-C", str(build), "--no-rebuild", "--num-processes", "2", *more, *programs]
    with open(console, "w") as out:
        status = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                                env={**os.environ, **(environment or {})}).returncode
    before = count.failed
    for line in log.read_text().splitlines() if log.exists() else []:
        judge(build, json.loads(line), names, count)
    if status and count.failed == before:
        count.add("failed")
        print(console.read_text())


def stress_programs(build):
    """Those whose source asks how many rounds to run."""
    for name in program_names(build):
        source = TESTS / f"{name}.c"
        if source.exists() and "test_rounds(" in source.read_text():
            yield name


def soak(seconds, builds, names):
    count, end = Count(), time.monotonic() + seconds
    environment = {"WEFTTEST_SOAK": os.environ.get("WEFTTEST_SOAK") or SOAK_FACTOR}
    work = [(build, name) for build in builds for name in names or stress_programs(build)]
    rounds = 0
    while work and time.monotonic() < end:
        build, name = work[rounds % len(work)]
        print(f"soak: {expected.flavour_of(build)} {name}", file=sys.stderr, flush=True)
        run(build, [name], count, environment, ["--timeout-multiplier", "0"])  # each test has its own bound
        rounds += 1
    if count.races:
        print(f"soak: {count.races} races of sleep and wake-up")
    return count


def main():
    arguments = sys.argv[1:]
    if arguments[:1] == ["--soak"]:
        if len(arguments) < 3 or not arguments[1].isdigit():
            raise Wrong("--soak needs a number of seconds and a build directory")
        split = arguments.index("--") if "--" in arguments else len(arguments)
        builds, names = [Path(a) for a in arguments[2:split]], arguments[split + 1:]
        for name in names:
            if name not in stress_programs(builds[0]):
                raise Wrong(f"no stress test '{name}'; there are: {' '.join(stress_programs(builds[0]))}")
        count = soak(int(arguments[1]), builds, names)
    elif not arguments or arguments[0].startswith("-"):
        raise Wrong("usage: tests/run.py BUILD_DIR [NAME ...]")
    else:
        build, programs, count = Path(arguments[0]), arguments[1:], Count()
        there = program_names(build)
        for name in programs:
            if name not in there:
                raise Wrong(f"no test program '{name}'; there are: {' '.join(there)}")
        run(build, programs, count)
    print(count)
    return count.status


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Wrong as wrong:
        print(f"run.py: {wrong}", file=sys.stderr)
        sys.exit(2)
    except expected.Malformed as malformed:
        print(f"FAILED {malformed}\n0 passed, 1 failed")
        sys.exit(1)
