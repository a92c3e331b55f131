#!/usr/bin/env python3
"""tests/tidy, and the judging of skips, on trees and results that are not as they should be."""
import contextlib
import io
import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/bench"), str(ROOT / "tests")]
import run  # noqa: E402
import tap  # noqa: E402

TABLE = """# Tree

| who | low | high |
|---|---|---|
| `include/weft` | | |
| `low` | self | |
| `high` | word, depth | self |
"""
GOOD = {
    "docs/architecture.md": TABLE,
    "include/weft/one.h": "#ifndef ONE_H\n#define ONE_H\n#include <stddef.h>\nsize_t weft_one(void);\n#endif\n",
    "low/word.h": "#ifndef WORD_H\n#define WORD_H\nint word(void);\n#endif\n",
    "low/depth.h": '#ifndef DEPTH_H\n#define DEPTH_H\n#include "low/word.h"\n#endif\n',
    "low/other.h": "#ifndef OTHER_H\n#define OTHER_H\nint other(void);\n#endif\n",
    "high/top.h": '#ifndef TOP_H\n#define TOP_H\n#include "low/word.h"\n#endif\n',
    "high/top.c": '/* What it is for. */\n#include "high/top.h"\n#include "low/depth.h"\n#include <weft/one.h>\n',
}


def tidy(changes: dict[str, str | bytes | None]) -> tuple[int, str]:
    """Status and output for the good tree with changes; None takes a file away."""
    with tempfile.TemporaryDirectory() as name:
        for path, words in {**GOOD, **changes}.items():
            if words is not None:
                (Path(name) / path).parent.mkdir(parents=True, exist_ok=True)
                (Path(name) / path).write_bytes(words if isinstance(words, bytes) else words.encode())
        done = subprocess.run([sys.executable, ROOT / "tests/tidy", "--root", name], capture_output=True, text=True)
        tap.equal(done.stderr, "")
        return done.returncode, done.stdout


def found(words: str, changes: dict[str, str | bytes | None]) -> None:
    status, output = tidy(changes)
    tap.check(status == 1 and words in output and " 0 failed" not in output, f"status {status}, want {words!r}: {output}")


def line(words: str) -> dict[str, str]:
    return {"low/word.c": words + "\n"}


def test_a_tidy_tree_passes():
    status, output = tidy({})
    tap.check(status == 0 and ", 0 failed" in output, output)


def test_a_forbidden_arrow_is_found():
    found("low may not include high/top.h", line('#include "high/top.h"'))
    found("high may not include low/other.h", {"high/more.c": '  #  include "low/other.h"\n'})
    found("include/weft may not include low/word.h", {"include/weft/two.h": '#include "low/word.h"\n'})


def test_a_missing_row_or_table_is_found():
    found("other has no row", {"other/a.c": "#include <weft/one.h>\n"})
    found("no table of arrows", {"docs/architecture.md": "nothing\n"})
    found("no table of arrows", {"docs/architecture.md": None})


def test_an_arrow_that_nothing_uses_is_found():
    found("that the cell 'depth' would be for", {"high/top.c": '#include "high/top.h"\n'})
    found("the row gone is no folder", {"docs/architecture.md": TABLE + "| gone | | |\n"})


def test_an_include_without_its_folder_is_found():
    found('"word.h" is not written "folder/file.h"', line('#include "word.h"'))
    found('is not written "folder/file.h"', line('#include "../high/top.h"'))
    found('<low/word.h> is written "low/word.h"', line("#include <low/word.h>"))


def test_a_header_that_needs_another_is_found():
    found("headers low/word.h", {"low/word.h": "size_t word(void);\n"})
    found("C11", {"include/weft/two.h": "struct weft_two { int n; struct { int a; } *p, weft[]; };\nint weft_x[0];\n"})
    found("C++17", {"include/weft/two.h": "int weft_two(int class);\n"})


def test_left_overs_are_found():
    for what, words in (("a note to oneself", "/* TO" + "DO: more */"), ("a note to oneself", "/* good enough for" + " now */"),
                        ("a trailing blank", "int a; "), ("a trailing blank", "int a;\r"), ("a conflict marker", "<" * 7 + " HEAD"),
                        ("code in a comment", "// word();"), ("code in a comment", "\t/* count = word(1); */"),
                        ("code switched off", "#if 0"), ("a machine path", '"/ho' + 'me/somebody/x"'),
                        ("a machine path", '"/tm' + 'p/x"'), ("a registry's host", "https://index.crates.i" + "o/x")):
        found(what, line(words))
    found("no newline at the end", {"low/word.c": "int a;"})
    found("code in a comment", {"low/a.py": "# print(1)\n"})
    found("a lock file", {"low/Cargo.lock": "\n"})
    found("a generated file", {"low/a.o": "\n"})
    found("not a text file", {"low/a": b"\x00\x01"})


def test_what_only_looks_like_a_left_over_passes():
    for words in ("/* XXXXXX */", 'char t[] = "/tm' + 'p/weft-XXXXXX";', 'char t[] = "/tm' + 'p/weft-%d";', "int a; /* of b(); see c */", "/* A sentence; two of them. */",
                  "enum { TODOS };"):
        tap.equal((words, tidy(line(words))[0]), (words, 0))


def test_wrong_usage_is_one_line_and_status_2():
    for arguments in (["--bad"], ["--root"], ["--root", "no/such"], ["names"]):
        done = subprocess.run([sys.executable, ROOT / "tests/tidy", *arguments], capture_output=True, text=True)
        tap.equal((done.returncode, done.stderr.count("\n"), done.stdout), (2, 1, ""))


def test_a_name_with_a_line_break_is_refused_in_one_line():
    done = subprocess.run([sys.executable, ROOT / "tests/run.py", "a\nb\x1b"], capture_output=True, text=True)
    tap.equal((done.returncode, done.stderr, done.stdout), (2, "run.py: no configured build in 'a?b?'\n", ""))


def judged(stdout: str, names: dict, result: str = "OK") -> str:
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "meson-info").mkdir()
        (Path(name) / "meson-info/intro-buildoptions.json").write_text(json.dumps(
            [{"name": "b_sanitize", "value": "none"}, {"name": "optimization", "value": "0"}]))
        count = run.Count()
        with contextlib.redirect_stdout(io.StringIO()) as said:
            run.judge(Path(name), {"name": "weft / unit/a", "stdout": stdout, "stderr": "", "result": result}, names, count)
        return f"{count}; {said.getvalue()}"


def test_a_skip_is_allowed_where_the_list_says_so():
    words = judged("1..2\nok 1 x\nok 2 y # SKIP\n", {("unit/a", "y"): ["debug"]})
    tap.check(words.startswith("1 passed, 0 failed, 1 skipped;"), words)


def test_any_other_skip_is_a_failure():
    for names in ({}, {("unit/a", "y"): []}, {("unit/b", "y"): ["debug"]}, {("unit/a", "y"): ["bench-running"]}):
        words = judged("1..2\nok 1 x\nok 2 y # SKIP\n", names)
        tap.check(words.startswith("1 passed, 1 failed;") and "an unexpected skip" in words, words)


def test_a_program_that_does_not_finish_is_a_failure():
    tap.check(judged("1..2\nok 1 x\n", {}).startswith("1 passed, 1 failed;"))
    tap.check(judged("", {}).startswith("0 passed, 1 failed;"))
    tap.check(judged("1..1\nok 1 x\n", {}, "TIMEOUT").startswith("1 passed, 1 failed;"))


if __name__ == "__main__":
    tap.main(globals())
