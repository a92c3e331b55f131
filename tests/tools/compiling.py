"""A text as a user's compilers see it, as C11 and as C++17, with the warnings that users have on."""
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/bench"))
sys.path.insert(0, str(ROOT / "tests/tidy"))
import headers
import tap

LANGUAGES = (("c", "-std=c11", 0), ("c++", "-std=c++17", 1))


def compile_text(compiler: str, language: str, standard: str, text: str) -> subprocess.CompletedProcess:
    return subprocess.run([compiler, "-x", language, standard, "-pedantic", *headers.WARNINGS, f"-I{ROOT}/include",
                           "-fsyntax-only", "-"], input=text, capture_output=True, text=True)


def compilers():
    if not headers.COMPILERS:
        raise tap.Skip("no compiler")
    for pair in headers.COMPILERS:
        for language, standard, which in LANGUAGES:
            yield pair[which], language, standard


def takes(text: str) -> None:
    """Every compiler takes it without a word."""
    for way in compilers():
        done = compile_text(*way, text)
        tap.equal((way, done.returncode, done.stderr), (way, 0, ""))


def refuses(text: str, *words: str) -> None:
    """Every compiler refuses it, and says one of the words."""
    for way in compilers():
        done = compile_text(*way, text)
        tap.check(done.returncode != 0 and any(w in done.stderr for w in words),
                  f"{way} {text[-120:]!r}: {done.returncode} {done.stderr[:300]}")


def defines_only(texts: list[str], names: set[str]) -> None:
    """Compiled one by one, they define these names between them for others to link, and nothing else."""
    for compiler, language, standard in compilers():
        defined = []
        for text in texts:
            with tempfile.NamedTemporaryFile(suffix=".o") as out:
                subprocess.run([compiler, "-x", language, standard, f"-I{ROOT}/include", "-c", "-", "-o", out.name], input=text,
                               text=True, check=True)
                listed = subprocess.run(["nm", "-C", "--defined-only", "--extern-only", out.name], capture_output=True, text=True,
                                        check=True).stdout
            # What is inline in C++ is weak, and may be defined by each.
            defined += [w[2].partition("(")[0] for line in listed.splitlines() if (w := line.split(None, 2))[1] not in "WVu"]
        tap.equal((compiler, language, sorted(defined)), (compiler, language, sorted(names)))
