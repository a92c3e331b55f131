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


PATTERNS = {
    "bounded_parallelism": "total 20825, never more than 4 at a time: yes",
    "cache": "3000 readers, all served, 3 fetches",
    "errgroup": "all there, 0 stopped\nNo such file or directory, 2 stopped",
    "fan_out_fan_in": "sum of squares: 338350",
    "generator": "0\n1\n1\n2\n3\n5\n8\n13\n21\n34\n55\n89",
    "graceful_shutdown": "signal 15: all that was taken is finished",
    "hello": "0\n1\n4",
    "leaks": "goroutines left: 1\nnone has leaked",
    "multiplex": "ann 5, joe 8",
    "pipeline": "well, sum 10\nInvalid argument, sum 3",
    "producer_consumer": "3000 consumed, sum 1501500",
    "pub_sub": "\n".join(f"subscriber {n}: 10 messages, the last 100" for n in range(3)),
    "rate_limit": "the burst is served: yes\nthen no more than 200 a second: yes\nsix at a time: never",
    "semaphore": "8 tasks, within the budget: yes",
    "timeout": "with a deadline: too late\nbeside a timer: too late\nin a context: context deadline exceeded\nafterwards: at last",
    "worker_pool": "9 results, sum 285",
}


def test_each_pattern_says_what_it_is_to():
    for name, words in PATTERNS.items():
        for procs in "1", "2", "3":
            os.environ["WEFT_PROCS"] = procs
            tap.equal((name, *run(name)), (name, 0, words + "\n"))
    del os.environ["WEFT_PROCS"]


def test_each_pattern_is_short_has_its_paragraph_and_is_the_only_one_so_called():
    text = (ROOT / "docs/patterns.md").read_text()
    for name in PATTERNS:
        lines = (ROOT / f"examples/{name}.c").read_text().splitlines()
        tap.check(len(lines) < 60, f"{name}.c has {len(lines)} lines")
        if name != "hello":
            tap.equal((name, text.count(f"`examples/{name}.c`")), (name, 1))
    programs = {path.stem for path in (ROOT / "examples").glob("*.c")}
    tap.equal(programs - PATTERNS.keys(), {RUN})


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
