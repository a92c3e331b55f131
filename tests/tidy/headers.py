"""Every header compiles alone: public ones as a user may compile them, ours with the project's flags."""
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

COMPILERS = [(c, cxx) for c, cxx in (("gcc", "g++"), ("clang", "clang++")) if shutil.which(c) and shutil.which(cxx)]
WARNINGS = ["-Wall", "-Wextra", "-Wundef", "-Wshadow", "-Werror"]
C_WARNINGS = ["-Wstrict-prototypes", "-Wmissing-prototypes"]
PACKAGES = ["hwloc", "liburcu-qsbr", "jansson"]


def package_flags() -> list[str]:
    done = subprocess.run(["pkg-config", "--cflags", *PACKAGES], capture_output=True, text=True)
    return done.stdout.split() if done.returncode == 0 else []


def ways(path: Path):
    """(label, command without the header)"""
    public = path.parts[0] == "include"
    for cc, cxx in COMPILERS:
        if public:
            yield f"{cc} C11", [cc, "-x", "c", "-std=c11", "-pedantic", *WARNINGS, *C_WARNINGS, "-Iinclude"]
            yield f"{cxx} C++17", [cxx, "-x", "c++", "-std=c++17", "-pedantic", *WARNINGS, "-Iinclude"]
        else:
            yield cc, [cc, "-x", "c", "-std=gnu11", "-D_GNU_SOURCE", '-DWEFT_FLAVOUR="release"', *WARNINGS, *C_WARNINGS,
                       "-I.", "-Iinclude", *package_flags()]


def compile_alone(root: Path, path: Path) -> tuple[str, list[str]]:
    findings = []
    for label, command in ways(path):
        name = str(path.relative_to("include")) if path.parts[0] == "include" else str(path)
        done = subprocess.run([*command, "-fsyntax-only", "-include", name, os.devnull], cwd=root, text=True,
                              capture_output=True, stdin=subprocess.DEVNULL)
        if done.returncode:
            lines = done.stderr.splitlines()
            findings.append(f"{label}: " + next((line for line in lines if "error" in line), "does not compile"))
    return f"headers {path}", findings


def checks(root: Path, files: list[Path]) -> list[tuple[str, list[str]]]:
    if not COMPILERS:
        return [("headers", ["neither gcc and g++ nor clang and clang++ are there"])]
    if len(COMPILERS) == 1:
        print(f"tidy: headers are compiled by {COMPILERS[0][0]} only: the other compiler is not there")
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return list(pool.map(lambda path: compile_alone(root, path), [p for p in files if p.suffix == ".h"]))
