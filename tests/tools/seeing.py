#!/usr/bin/env python3
"""docs/seeing.md against the programs: the debug keys, and the fields of a line of schedtrace.

usage: tests/tools/seeing.py EXAMPLES_DIR       tests/tools/seeing.py --list
"""
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/bench"))
import tap  # noqa: E402

EXAMPLES = Path(sys.argv.pop(1)).resolve() if len(sys.argv) > 1 and Path(sys.argv[1]).is_dir() else None
DOCUMENT = (ROOT / "docs/seeing.md").read_text()


def run(debug: str, *command: str) -> subprocess.CompletedProcess:
    return subprocess.run([EXAMPLES / command[0], *command[1:]], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          env={**os.environ, "WEFT_DEBUG": debug}, timeout=50)


def test_the_document_lists_the_debug_keys():
    done = run("help", "hello")
    tap.equal((done.returncode, done.stderr), (0, ""))
    said = [tuple(line.split(None, 1)) for line in done.stdout.splitlines()]
    section = DOCUMENT.split("Keys, separated")[1].split("A line of")[0]
    tap.equal(said, re.findall(r"^\| `(\S+)` \| (.*) \|$", section, re.M))


def test_the_document_explains_every_field():
    line = run("schedtrace=5", "run_commands", "1", "sleep 0.1").stderr.splitlines()[0]
    fields = re.findall(r" (\w+)=", line)
    tap.equal(fields, re.findall(r" (\w+)=", re.search(r"^sched .*$", DOCUMENT, re.M)[0]))
    for field in fields:
        tap.check(f"`{field}`" in DOCUMENT, field)


if __name__ == "__main__":
    tap.main(globals())
