"""A text as a user's compilers see it, as C11 and as C++17, with the warnings that users have on."""
import subprocess
import sys
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
