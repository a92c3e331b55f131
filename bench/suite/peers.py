"""The programs that take part: weft's own, and the peers that bench/peers/build.py builds.

A peer is a name of report.json (weft, go, rust, c); a variant is one way of running it (a GOGC, a kind of
C server). A program that is missing, too old or does not build still takes its place, with its reason.
"""
import json
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

from suite import process
from suite.rows import Row

PEERS = ("weft", "go", "rust", "c")


@dataclass(frozen=True)
class Program:
    peer: str
    variant: str
    program: str
    kind: str  # micro | memory | server
    argv: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    ok: bool = True
    why: str = ""
    pending: bool = False  # not ok because weft has not got that far: stated, but no failure
    version: str = ""
    note: str = ""
    rows: tuple[str, ...] = ()  # micro and memory: what its --list says

    @property
    def label(self) -> str:
        return f"{self.peer}/{self.variant}" if self.variant else self.peer


# Which server programs stand in a mode's rows: peer, variant, program.
_SERVERS = {
    "raw": (("weft", "", "weft-server"), ("go", "gogc100", "go-raw"), ("go", "gogc400", "go-raw"),
            ("rust", "tokio", "tokio-raw"), ("c", "epoll", "c-epoll"), ("c", "epoll-spin", "c-epoll-spin"),
            ("c", "uring", "c-uring")),
    "echo": (("weft", "", "weft-server"), ("go", "gogc100", "go-raw"), ("go", "gogc400", "go-raw"),
             ("rust", "tokio", "tokio-raw"), ("c", "epoll", "c-epoll")),
    "http": (("weft", "", "weft-http"), ("go", "gogc100", "go-http"), ("go", "gogc400", "go-http"),
             ("rust", "hyper", "hyper")),
}
_MICRO = (("weft", ""), ("go", "gogc100"), ("go", "gogc400"), ("rust", "tokio"), ("c", "floor"))
_MEMORY = (("weft", "", "weft-memory"), ("go", "gogc100", "go-memory"), ("rust", "box", "rust-memory"), ("c", "bump", "c-bump"),
           ("c", "mimalloc", "c-mimalloc"), ("c", "boehm", "c-boehm"))
# One program at several settings: how much time it takes with how much memory.
_MEMORY_CURVE = tuple((peer, f"gogc{percent}", program) for peer, program in (("weft", "weft-memory"), ("go", "go-memory"))
                      for percent in (50, 100, 200, 400))
_MODES = {**_SERVERS, "memory": _MEMORY, "memory-curve": _MEMORY_CURVE}
# The beginnings of the rows that a memory program has, where it has not all; it is asked itself, but not when it cannot be run.
_MEMORY_ROWS = {"rust-memory": ("binary-trees", "ring-push", "map-push"), "c-bump": ("alloc",),
                "c-mimalloc": ("alloc", "binary-trees", "ring-push"), "c-boehm": ("alloc", "binary-trees", "ring-push", "mark")}
_EXTRA_FLOORS = ("epoll-spin", "uring")
_FLOOR_ROWS = ("spawn-batch", "spawn-one", "fork-join", "yield-2", "ping-pong", "mutex", "rtt", "wake-polling")
# What the others have nothing like: they leave the row out even when they cannot be run at all.
_ONLY = {"rtt": ("c",), "wake-polling": ("weft", "c")}
_BUILD_PATIENCE_S = 3600


def _env(peer: str, variant: str) -> dict[str, str]:
    if not variant.startswith("gogc"):
        return {}
    return {"WEFT_GOGC" if peer == "weft" else "GOGC": variant.removeprefix("gogc")}


def _weft(build: Path) -> list[dict]:
    """weft's own programs, in the form that build.py gives of the others."""
    entries = []
    for program, kind in (("weft-micro", "micro"), ("weft-memory", "memory"), ("weft-server", "server"),
                          ("weft-http", "server")):
        path = build / "bench" / program
        entry = {"name": "weft", "kind": kind, "program": program, "argv": [str(path)], "ok": path.exists(),
                 "why": "", "version": "", "note": "", "pending": not path.exists()}
        if not entry["ok"]:
            entry["why"] = "not built: weft has no HTTP server yet" if program == "weft-http" else "not built"
        entries.append(entry)
    return entries


def build_all(source: Path, build: Path, cpus: list[int]) -> tuple[list[dict], str]:
    """Builds what is missing; returns the programs and, when the build as a whole failed, why."""
    script = source / "bench" / "peers" / "build.py"
    if not script.exists():
        return [], "bench/peers/build.py is missing"
    try:
        child = process.start([sys.executable, str(script), str(build)], cpus, stderr=sys.stderr)
        try:
            return json.loads(process.finish(child, _BUILD_PATIENCE_S, accept=(0, 1))), ""
        finally:
            process.forget(child)
    except process.Failed as failed:
        return [], f"building the peers failed: {failed}"
    except ValueError:
        return [], "building the peers failed: build.py printed no list"


def _from_entry(entry: dict, peer: str, variant: str) -> Program:
    return Program(peer, variant, entry["program"], entry["kind"], tuple(entry.get("argv") or ()), _env(peer, variant),
                   bool(entry["ok"]), entry.get("why") or "", bool(entry.get("pending")),
                   entry.get("version") or "", entry.get("note") or "")


def _ask(program: Program, cpus: list[int]) -> Program:
    """Fills in what only the program itself knows: its rows, and its version where nobody said it."""
    if not program.ok:
        return program
    try:
        version = program.version or process.run([*program.argv, "--version"], cpus, 10).strip()
        rows = program.rows
        if program.kind != "server":
            rows = tuple(process.run([*program.argv, "--list"], cpus, 10).split())
    except process.Failed as failed:
        return replace(program, ok=False, why=str(failed))
    return replace(program, version=version, rows=rows)


def programs(entries: list[dict], build: Path, missing_why: str, cpus: list[int]) -> dict[str, list[Program]]:
    """By mode: "micro", "memory", "memory-curve", "raw", "echo", "http"."""
    entries = _weft(build) + entries
    by_program = {e["program"]: e for e in entries}
    asked: dict[str, Program] = {}

    def place(entry: dict | None, peer: str, variant: str, name: str, kind: str) -> Program:
        if entry is None:
            return Program(peer, variant, name, kind, ok=False, why=missing_why or "missing")
        if name not in asked:
            asked[name] = _ask(_from_entry(entry, peer, ""), cpus)
        return replace(asked[name], peer=peer, variant=variant, env=_env(peer, variant))

    found: dict[str, list[Program]] = {"micro": []}
    for peer, variant in _MICRO:
        entry = next((e for e in entries if e["kind"] == "micro" and e["name"] == peer), None)
        found["micro"].append(place(entry, peer, variant, entry["program"] if entry else f"{peer}-micro", "micro"))
    for mode, wanted in _MODES.items():
        kind = "server" if mode in _SERVERS else "memory"
        found[mode] = [place(by_program.get(name), peer, variant, name, kind) for peer, variant, name in wanted]
    return found


def for_row(row: Row, found: dict[str, list[Program]], mode: str) -> list[Program]:
    """Who takes part in a row, those that cannot included (they say why).

    GOGC 400 is run where the collector has something to do, and everywhere in --full. The spinning and the
    io_uring floor are left out of --quick and of the curve. Memory rows are measured at GOGC 100, and in --quick beside Go alone.
    """
    if row.kind == "memory":
        wanted = found["memory-curve" if row.curve else "memory"]
        return [e for p in wanted if (mode != "quick" or p.peer in ("weft", "go")) and (e := _memory_entrant(row, p))]
    wanted = found["micro" if row.kind == "micro" else row.server_mode]
    if (mode != "full" and (not row.collects or row.base == "park-1m")) or row.curve:
        wanted = [p for p in wanted if p.variant != "gogc400"]
    if mode == "quick" or row.curve:
        wanted = [p for p in wanted if p.variant not in _EXTRA_FLOORS]
    return [e for p in wanted if (e := _micro_entrant(row, p))] if row.kind == "micro" else wanted


def _micro_entrant(row: Row, program: Program) -> Program | None:
    """A peer leaves out micro rows that have no meaning for it; weft is to have them all."""
    if row.micro in program.rows:
        return program
    if program.peer not in _ONLY.get(row.micro, PEERS):
        return None
    if program.peer == "c":
        return program if not program.ok and row.micro in _FLOOR_ROWS else None
    if not program.ok:
        return program
    return replace(program, ok=False, pending=True, why="not built") if program.peer == "weft" else None


def _memory_entrant(row: Row, program: Program) -> Program | None:
    if not row.micro.startswith(_MEMORY_ROWS.get(program.program, "")):
        return None
    if not program.ok or row.micro in program.rows:
        return program
    return replace(program, ok=False, pending=True, why="not built") if program.peer == "weft" else None


def describe(found: dict[str, list[Program]], weft_version: str) -> list[dict]:
    """The `peers` of report.json."""
    listed = []
    for peer in PEERS:
        unique = {p.program: p for mode in found.values() for p in mode if p.peer == peer}
        versions = list(dict.fromkeys(p.version for p in unique.values() if p.version))
        version = weft_version if peer == "weft" and weft_version else "; ".join(versions)
        listed.append({"name": peer, "version": version or None, "programs": [
            {"program": p.program, "kind": p.kind, "version": p.version or None, "ok": p.ok, "why": p.why,
             "note": p.note} for p in unique.values()]})
    return listed
