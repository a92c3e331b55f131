#!/usr/bin/env python3
"""weft heap: on a dump of a program's, and on texts."""
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import tuning

import tap

BUILD = Path(os.environ.get("WEFTTEST_BUILD", tuning.SOURCE / "build"))
SCRIPT = Path(__file__).resolve().parent.parent.parent / "tuning" / "heap" / "run.py"
PROGRAM = BUILD / "tests" / "unit_heapdump"
TEXT = """weft heap 1
type node size=32 shape=map:4:3 at main.c:1
type list size=16 shape=map:2:1 at main.c:2
type item size=16 shape=map:2:1 at main.c:3
type large size=576 shape=typed scan=7f00 at main.c:4
root tree at main.c:9 > 40
goroutine 7 name=a > b > 2000
held timers >
held areas >
held pools >
span 0 slot=32 shape=map:4:3
o 0 > 20
o 1 >
o 2 > 0 1000
o 3 > 60
span 1000 slot=16 shape=map:2:1
o 0 >
span 2000 slot=640 shape=typed
o 0 type=7f00 > 1000
span 3000 slot=128 shape=map:4:3
o 0 > 20
end objects=7 bytes=912
"""
# Lines in the place of those with these numbers.
BAD = [(2, "type node size=x shape=map:4:3 at main.c:1"), (2, "type"), (6, "root tree at main.c:9"), (6, "root tree at main.c:9 > -40"),
       (7, "goroutine 7 name=a"), (8, "b >"), (11, "span 0x0 slot=32 shape=map:4:3"), (11, "span 0 slot=-32 shape=map:4:3"), (13, "o x >"),
       (13, "o -1 >"), (13, "o"), (13, "o 1 > 1_0"), (22, "end"), (22, "end objects=x bytes=1"), (22, "end objects=-1")]


def heap(*args: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, str(SCRIPT), *args], capture_output=True, text=True, timeout=60)


def written(folder: str, text: str, name: str = "dump") -> str:
    path = Path(folder) / name
    path.write_text(text)
    return str(path)


def told(*args: str, status: int = 0) -> dict | list:
    done = heap(*args, "--json")
    if done.returncode != status:
        raise AssertionError(f"status {done.returncode}: {done.stderr}")
    return json.loads(done.stdout)


def refused(words: str, *args: str) -> None:
    done = heap(*args)
    tap.equal(done.returncode, 2)
    tap.equal(done.stderr, f"weft heap: {words}\n")


def test_what_lives_is_counted_by_type_and_garbage_apart():
    with tempfile.TemporaryDirectory() as folder:
        found = told(written(folder, TEXT))
    tap.equal(found["live"], {"objects": 5, "bytes": 3 * 32 + 16 + 640})
    tap.equal(found["garbage"], {"objects": 2, "bytes": 32 + 128})
    tap.equal(found["types"], [{"type": "large", "objects": 1, "bytes": 640}, {"type": "node", "objects": 3, "bytes": 96},
                               {"type": "item|list", "objects": 1, "bytes": 16}])


def test_the_way_to_an_object_is_the_shortest():
    with tempfile.TemporaryDirectory() as folder:
        dump = written(folder, TEXT)
        tap.equal(told(dump, "--why", "item"), [{"what": "root tree at main.c:9", "at": None}, {"what": "node", "at": 0x40},
                                                {"what": "item|list", "at": 0x1000}])
        tap.equal(told(dump, "--why", "large")[0]["what"], "goroutine 7 name=a > b")
        tap.equal(told(dump, "--why", "node[]", status=1), [])
        done = heap(dump, "--why", "0x60")
        tap.equal((done.returncode, done.stderr), (1, "weft heap: nothing keeps it: it is garbage\n"))


def test_two_dumps_are_compared():
    with tempfile.TemporaryDirectory() as folder:
        new, old = written(folder, TEXT), written(folder, TEXT.replace("o 2 > 0 1000", "o 2 > 1000"), "old")
        tap.equal(told(new, "--diff", old), [{"type": "node", "objects": 2, "bytes": 64}])
        tap.equal(heap(new, "--diff", new).stdout, "no difference in what lives\n")


def test_what_is_no_whole_dump_is_refused():
    with tempfile.TemporaryDirectory() as folder:
        for end in (-3, -12, -30, -50):
            cut = written(folder, TEXT[:end])
            refused(f"{cut}: it ends before its end: the program could not write all of it", cut)
        other = written(folder, "weft heap 2\n")
        refused(f"{other}: no heap dump of this version", other)
        for line, bad in BAD:
            broken = written(folder, TEXT.replace(TEXT.splitlines()[line - 1], bad))
            refused(f"{broken}, line {line}: cannot be read", broken)
        refused(f"{folder}/none: No such file or directory", f"{folder}/none")


def test_wrong_usage_is_one_line():
    refused("no file: weft heap FILE [OPTION ...]")
    refused("unknown option '--all'; 'weft heap --help' lists them", "x", "--all")
    refused("option '--why' needs a value", "x", "--why")
    refused("--top '0': want a whole number from 1 to 1000000", "x", "--top", "0")
    refused("unexpected 'y'; one file is read, and --diff names another", "x", "y")
    with tempfile.TemporaryDirectory() as folder:
        dump = written(folder, TEXT)
        refused("--why 'nothing': there is no object of such a type", dump, "--why", "nothing")
        refused("--why '0x1': there is no object", dump, "--why", "0x1")


def test_the_documented_dump_points_to_objects_that_are_in_it():
    text = (tuning.SOURCE / "docs" / "gc.md").read_text().partition("```\nweft heap 1\n")[2].partition("```")[0]
    with tempfile.TemporaryDirectory() as folder:
        found = told(written(folder, "weft heap 1\n" + text))
    objects = {f"{number * 32:x}" for number in range(found["live"]["objects"])}
    pointers = {word for line in text.splitlines() for word in line.partition(" >")[2].split()}
    tap.equal(pointers, objects)
    tap.equal(found["garbage"]["objects"], 0)
    tap.equal([line.split()[1] for line in text.splitlines() if line.startswith("held ")], ["timers", "areas", "pools"])


def test_a_program_s_dump_is_read_by_the_command():
    with tempfile.TemporaryDirectory() as folder:
        dump = str(Path(folder) / "dump")
        subprocess.run([str(PROGRAM), "a_dump_names_types_roots_and_goroutines_and_has_every_object"], check=True, timeout=60,
                       stdout=subprocess.DEVNULL, env={**os.environ, "WEFTTEST_HEAPDUMP": dump})
        done = subprocess.run([str(BUILD / "tuning" / "weft"), "heap", dump, "--json"], capture_output=True, text=True, check=True, timeout=60)
        found = {one["type"]: one["objects"] for one in json.loads(done.stdout)["types"]}
        tap.check(found.get("thing", 0) >= 1001, found)
        tap.check(found.get("wide", 0) >= 1, found)
        tap.equal(told(dump, "--why", "wide")[0]["what"].split()[:2], ["root", "wide"])


if __name__ == "__main__":
    tap.main(globals())
