"""The tests there are, as their programs list them, against the committed list: none goes unnoticed, or goes."""
import json
import subprocess
from pathlib import Path

import expected

HEAD = "# Every test: PROGRAM TEST [skip CONDITION,...] [only FLAVOUR]; conditions are in expected.py. `./dev tidy names` writes it.\n"


class Unlisted(Exception):
    """A program did not say what its tests are."""


def listed(test: dict) -> list[str]:
    """A Python test takes --list in place of its own arguments; a program as its only one."""
    command = test["cmd"]
    script = next((i for i, word in enumerate(command) if word.endswith(".py")), 0)
    done = subprocess.run([*command[:script + 1], "--list"], capture_output=True, text=True, timeout=60,
                          stdin=subprocess.DEVNULL)
    if done.returncode or not done.stdout:
        raise Unlisted(f"--list: status {done.returncode}")
    return done.stdout.split()


def programs(build: Path) -> list[dict]:
    return json.loads((build / "meson-info/intro-tests.json").read_text())


def checks(root: Path, build: Path) -> list[tuple[str, list[str]]]:
    try:
        want = expected.read(root / "tests/names.txt")
    except (OSError, expected.Malformed) as why:
        return [("test names", [str(why)])]
    results, there = [], {test["name"] for test in programs(build)}
    for test in programs(build):
        program, findings = test["name"], []
        try:
            names = listed(test)
            committed = {name for other, name in want if other == program}
            findings += [f"{name} is not in tests/names.txt" for name in names if name not in committed]
            findings += [f"{name} is in tests/names.txt, and the program has it not" for name in sorted(committed - {*names})]
            findings += [f"{name} is there twice" for name in sorted({n for n in names if names.count(n) > 1})]
        except (OSError, Unlisted, subprocess.TimeoutExpired) as why:
            findings.append(str(why))
        results.append((f"test names {program}", findings))
    others = {line.split()[0] for line in expected.elsewhere(build, root / "tests/names.txt")}
    gone = sorted({program for program, _ in want} - there - others)
    results.append(("test names: programs", [f"{p} is in tests/names.txt, and not in the build" for p in gone]))
    return results


def write(root: Path, build: Path) -> int:
    path = root / "tests/names.txt"
    before = expected.read(path) if path.exists() else {}
    lines = expected.elsewhere(build, path) if path.exists() else []
    for test in sorted(programs(build), key=lambda t: t["name"]):
        for name in listed(test):
            conditions = before.get((test["name"], name), [])
            lines.append(f"{test['name']} {name}" + (f" skip {','.join(conditions)}" if conditions else ""))
    lines.sort(key=lambda line: line.split()[0])
    path.write_text(HEAD + "\n".join(lines) + "\n")
    print(f"tidy: {path.name} has {len(lines)} tests")
    return 0
