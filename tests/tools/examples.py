#!/usr/bin/env python3
"""The programs of examples/, as their users run them.

usage: tests/tools/examples.py EXAMPLES_DIR       tests/tools/examples.py --list
"""
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/bench"))
import tap  # noqa: E402

EXAMPLES = Path(sys.argv.pop(1)).resolve() if len(sys.argv) > 1 and Path(sys.argv[1]).is_dir() else None
RUN = "run_commands"


def run(name: str, *arguments: str) -> tuple[int, str]:
    done = subprocess.run([EXAMPLES / name, *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=50)
    return done.returncode, done.stdout


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_hello_says_its_squares():
    tap.equal(run("hello"), (0, "0\n1\n4\n"))


def test_all_commands_are_run_and_their_statuses_counted():
    tap.equal(run(RUN, "3"), (0, ""))
    status, words = run(RUN, "3", *[f"echo {n}" for n in range(20)])
    tap.equal((status, sorted(map(int, words.split()))), (0, list(range(20))))
    status, words = run(RUN, "1", "exit 3", "echo after")
    tap.equal((status, words), (1, "after\n"))
    tap.equal(run(RUN)[0], 2)
    tap.equal(run(RUN, "none", "echo")[0], 2)


def test_no_more_run_at_a_time_than_asked():
    """Each command says how many there are while it runs."""
    with tempfile.TemporaryDirectory() as tree:
        command = f'mkdir "{tree}/$$"; ls "{tree}" | wc -l; sleep 0.02; rmdir "{tree}/$$"'
        status, words = run(RUN, "3", *[command] * 15)
        counts = list(map(int, words.split()))
        tap.equal((status, len(counts)), (0, 15))
        tap.check(max(counts) <= 3, counts)


def test_sigterm_ends_what_runs_and_starts_no_more():
    for number in (signal.SIGTERM, signal.SIGINT):
        program = subprocess.Popen([EXAMPLES / RUN, "2", *["echo $$; sleep 60; echo ended"] * 3], stdout=subprocess.PIPE,
                                   text=True, stdin=subprocess.DEVNULL)
        try:
            shells = [int(program.stdout.readline()) for _ in range(2)]
            os.kill(program.pid, number)
            tap.equal(program.stdout.read(), "")
            tap.equal(program.wait(50), 1)
            tap.check(not any(map(alive, shells)), shells)
        finally:
            program.kill()
            program.wait()


if __name__ == "__main__":
    tap.main(globals())
