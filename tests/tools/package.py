#!/usr/bin/env python3
"""libweft as a user meets it: the program of the README, built against the build tree and against an installed one.

usage: tests/tools/package.py BUILD_DIR       tests/tools/package.py --list
"""
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/bench"))
import tap  # noqa: E402

BUILD = Path(sys.argv.pop(1)).resolve() if len(sys.argv) > 1 and Path(sys.argv[1]).is_dir() else None
HELLO = ROOT / "examples/hello.c"
WORDS = "0\n1\n4\n"


def output(*command, **environment: str) -> str:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300,
                          env={**os.environ, **environment})
    if done.returncode:
        raise AssertionError(f"{' '.join(map(str, command))}: status {done.returncode}: {done.stderr[-800:]}")
    return done.stdout


def flags(folder: Path, *options: str) -> list[str]:
    return shlex.split(output("pkg-config", "--cflags", "--libs", *options, "weft", PKG_CONFIG_PATH=str(folder)))


def check_hello(compiler: list[str], more: list[str], **environment: str) -> str:
    """Builds and runs it; what it is linked with."""
    with tempfile.TemporaryDirectory() as name:
        program = Path(name) / "hello"
        output(*compiler, "-Wall", "-Werror", "-o", program, HELLO, *more)
        tap.equal(output(program, **environment), WORDS)
        return output("ldd", program, **environment)


def installed(tree: str) -> Path:
    """Installs into tree; the folder of weft.pc, which says that it is there."""
    output("meson", "install", "-C", BUILD, "--no-rebuild", "--destdir", tree)
    return next(Path(tree).rglob("weft.pc")).parent


def moved(pc: Path, tree: str) -> list[str]:
    prefix = re.search(r"^prefix=(.*)$", (pc / "weft.pc").read_text(), re.M)[1]
    return ["--define-variable=prefix=" + tree + prefix]


def test_hello_against_the_build_tree():
    linked = check_hello(["cc", "-std=c11"], flags(BUILD / "meson-uninstalled"))
    tap.check(str(BUILD / "libweft.so") in linked, linked)


def test_hello_against_an_installed_tree():
    with tempfile.TemporaryDirectory() as tree:
        pc = installed(tree)
        linked = check_hello(["cc", "-std=c11"], flags(pc, *moved(pc, tree)), LD_LIBRARY_PATH=str(pc.parent))
        tap.check(f"{pc.parent}/libweft.so" in linked, linked)


def test_hello_with_the_static_library():
    """libweft.a inside, the libraries under it shared: `--static` would ask for all of theirs too."""
    with tempfile.TemporaryDirectory() as tree:
        pc = installed(tree)
        under = output("pkg-config", "--print-requires-private", "weft", PKG_CONFIG_PATH=str(pc)).split()
        private = re.search(r"^Libs.private:(.*)$", (pc / "weft.pc").read_text(), re.M)[1].split()
        more = [f.replace("-lweft", "-l:libweft.a") for f in flags(pc, *moved(pc, tree))]
        more += [*output("pkg-config", "--libs", *under).split(), *private]
        linked = check_hello(["cc", "-std=c11"], more)
        tap.check("libweft" not in linked, linked)


def test_weft_tune_runs_from_an_installed_tree():
    with tempfile.TemporaryDirectory() as tree:
        pc = installed(tree)
        weft, page = next(Path(tree).rglob("bin/weft")), Path(tree) / "page.html"
        said = output(weft, "tune", "gc", "--gogc", "50,100,200", "--limits", "off", "--runs", "3", "--html", page, "--", "sh", "-c",
                      'echo "weft-tune: p50_us=5"', LD_LIBRARY_PATH=str(pc.parent), PYTHONDONTWRITEBYTECODE="1")
        tap.check(said.endswith("WEFT_GOGC=100 WEFT_MEMLIMIT=off\n"), said)
        tap.check("weft tune gc" in page.read_text(), "the page's parts are installed too")


def test_only_weft_names_come_out():
    names = [line.split()[-1] for line in output("nm", "-D", "--defined-only", BUILD / "libweft.so").splitlines()]
    tap.check(names)
    tap.equal([name for name in names if not name.startswith("weft_")], [])


def test_the_readme_shows_this_program():
    block = re.search(r"```c\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    text = HELLO.read_text()
    tap.equal(block and block[1], text[text.index("#include"):])


if __name__ == "__main__":
    tap.main(globals())
