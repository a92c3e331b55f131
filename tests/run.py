#!/usr/bin/env python3
"""Runs the tests of one build directory through meson and prints what failed and the count.

usage: tests/run.py BUILD_DIR [NAME ...]      NAME: a test program, as in `unit/chan`

The last line is `N passed, N failed`, followed by `, N skipped` if any were. Each TEST of a program
counts as one; a program that died before its plan was done counts as one failure more.
"""
import json
import re
import subprocess
import sys
from pathlib import Path


def tap_results(stdout):
    """Yields (name, outcome, detail) for each line of a TAP stream."""
    for line in stdout.splitlines():
        m = re.match(r"(not )?ok \d+ (\S+)(?: # (.*))?$", line)
        if m:
            outcome = "failed" if m[1] else "skipped" if (m[3] or "").startswith("SKIP") else "passed"
            yield m[2], outcome, m[3] or ""


def main():
    build, names = Path(sys.argv[1]), sys.argv[2:]
    log = build / "meson-logs" / "testlog.json"
    log.unlink(missing_ok=True)
    command = ["meson", "test", "-C", str(build), "--no-rebuild", "--num-processes", "2",
               "--print-errorlogs", *names]
    with open(build / "meson-logs" / "test-console.txt", "w") as console:
        status = subprocess.run(command, stdout=console, stderr=subprocess.STDOUT).returncode
    if not log.exists():
        print((build / "meson-logs" / "test-console.txt").read_text(), file=sys.stderr)
        print("0 passed, 1 failed")
        return 1
    count = {"passed": 0, "failed": 0, "skipped": 0}
    for line in log.read_text().splitlines():
        program = json.loads(line)
        name = program["name"].split(" / ")[-1]
        stdout, stderr = program.get("stdout", ""), program.get("stderr", "")
        results = list(tap_results(stdout))
        for test, outcome, detail in results:
            count[outcome] += 1
            if outcome == "failed":
                print(f"FAILED {name} {test} ({detail})")
            elif outcome == "skipped":
                print(f"skipped {name} {test}")
        failed_here = any(outcome == "failed" for _, outcome, _ in results)
        plan = re.search(r"^1\.\.(\d+)$", stdout, re.M)
        complete = plan and int(plan[1]) == len(results)
        if not complete or (program["result"] in ("FAIL", "ERROR", "TIMEOUT") and not failed_here):
            count["failed"] += 1
            print(f"FAILED {name}: the program did not finish ({program['result']})")
            failed_here = True
        if failed_here or any(outcome == "skipped" for _, outcome, _ in results):
            print("\n".join("    " + text for text in stderr.splitlines()[:200]))
    if status and not count["failed"]:
        count["failed"] += 1
        print((build / "meson-logs" / "test-console.txt").read_text())
    skipped = f", {count['skipped']} skipped" if count["skipped"] else ""
    print(f"{count['passed']} passed, {count['failed']} failed{skipped}")
    return 1 if count["failed"] else 0


sys.exit(main())
