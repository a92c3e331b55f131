"""What is left behind: notes to oneself, code in comments, machine paths, files that do not belong in a repository."""
import re
from pathlib import Path

import tree

LARGEST = 1 << 20
CORPUS = Path("tests/fuzz/corpus") # bytes, not text
GENERATED = {".o", ".a", ".so", ".pyc", ".log", ".orig", ".rej", ".swp", ".gcda", ".gcno", ".profraw"}
LOCK_FILES = re.compile(r".*\.lock$|.*-lock\.(json|ya?ml)$|^go\.sum$")

# The patterns are written so that they do not find themselves.
EVERYWHERE = [
    ("a note to oneself", re.compile(r"\b(TO[D]O|FIX[M]E|X[X]X|HA[C]K)\b|\bfor[ ]now\b")),
    ("a trailing blank", re.compile(r"[ \t\r]+$")),
    ("a conflict marker", re.compile(r"^(<{7}|>{7})( |$)")),
    ("a machine path", re.compile(r"(?<![\w.])/(home|root|work|Users|mnt)/[\w.]|(?<![\w.])/tmp/(?![\w.-]*(X{6}|%))[\w.]")),
    ("a registry's host", re.compile(r"\bcrates\.i[o]\b|\bproxy\.golang\.or[g]\b|\bsum\.golang\.or[g]\b|\bpypi\.or[g]\b"
                                     r"|\bnpmjs\.(org|co[m])\b|\b(deb|security)\.debian\.or[g]\b|\bghcr\.i[o]\b|\bdocker\.i[o]\b")),
]
C = [
    ("code in a comment", re.compile(r"^\s*//.*[;{}]\s*$|^\s*/\*\s*[\w*&][\w\s*&.>\[\]-]*(\(.*\)|=.*);\s*\*/\s*$")),
    ("code switched off", re.compile(r"^\s*#\s*if\s+0\b")),
]
SCRIPT = [
    ("code in a comment", re.compile(r"^\s*#\s*(import \w+$|from \w+ import |return\b|def \w+\(.*:$|(if|for|while) .*:$"
                                     r"|print\(|[\w.]+ = \S+$|[\w.]+\(.*\)$)")),
]
BY_SUFFIX = {".c": C, ".h": C, ".cc": C, ".py": SCRIPT}


def in_text(path: Path, words: str):
    rules = EVERYWHERE + BY_SUFFIX.get(path.suffix, [])
    for number, line in enumerate(words.split("\n"), 1):
        for what, pattern in rules:
            if pattern.search(line):
                yield f"line {number}: {what}: {line.strip()[:100]}"
    if words and not words.endswith("\n"):
        yield "no newline at the end"


def of_file(root: Path, path: Path):
    if LOCK_FILES.match(path.name):
        yield "a lock file"
    if path.suffix in GENERATED or {"build", "target", "__pycache__"} & set(path.parts[:-1]):
        yield "a generated file"
    if (root / path).stat().st_size > LARGEST:
        yield f"larger than {LARGEST} bytes"
    if path.is_relative_to(CORPUS):
        return
    words = tree.text(root, path)
    if words is None:
        yield "not a text file"
    else:
        yield from in_text(path, words)


def checks(root: Path, files: list[Path]) -> list[tuple[str, list[str]]]:
    return [(f"left-overs {path}", list(of_file(root, path))) for path in files]
