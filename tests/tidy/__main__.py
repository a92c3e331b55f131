"""tests/tidy: what can be told of the tree without running it. A line for each finding, and the count of the checks.

usage: python3 tests/tidy [--root DIR] [--build BUILD_DIR] [names]

  arrows       who includes whom, against the table of docs/architecture.md
  headers      each header compiles alone; public ones as C11 -pedantic and as C++17, with gcc and with clang
  left-overs   notes to oneself, code in comments, machine paths, files that do not belong in a repository
  test names   what the programs of BUILD_DIR list, against tests/names.txt; left out without --build

`names` brings tests/names.txt up to date instead; the conditions of skips are kept.
Ends with 0 tidy, 1 not, 2 wrong usage.
"""
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
sys.dont_write_bytecode = True
import arrows  # noqa: E402
import headers  # noqa: E402
import leftovers  # noqa: E402
import names  # noqa: E402
import tree  # noqa: E402


def options(arguments):
    root, build, write, rest = HERE.parent.parent, None, False, list(arguments)
    while rest:
        word = rest.pop(0)
        if word in ("--root", "--build") and rest and Path(rest[0]).is_dir():
            root, build = (Path(rest.pop(0)), build) if word == "--root" else (root, Path(rest.pop(0)))
        elif word == "names":
            write = True
        else:
            return None
    return None if write and not build else (root, build, write)


def main():
    chosen = options(sys.argv[1:])
    if not chosen:
        print(f"tidy: {' '.join(sys.argv[1:])}: want [--root DIR] [--build BUILD_DIR] [names]", file=sys.stderr)
        return 2
    root, build, write = chosen
    if write:
        return names.write(root, build)
    files = tree.files(root)
    checks = [*arrows.checks(root, files), *headers.checks(root, files), *leftovers.checks(root, files)]
    if build:
        checks += names.checks(root, build)
    failed = 0
    for name, findings in checks:
        failed += bool(findings)
        for finding in findings:
            print(f"FAILED {name}: {finding}")
    print(f"{len(checks) - failed} passed, {failed} failed")
    return 1 if failed else 0


sys.exit(main())
