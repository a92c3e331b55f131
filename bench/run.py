#!/usr/bin/env python3
"""weft bench: measures weft beside Go, Rust and the bare-C floor, and writes the report.

The parts are in bench/suite/, how figures are got in docs/bench-method.md.
"""
import signal
signal.signal(signal.SIGINT, signal.SIG_DFL)  # until main() takes it: no traceback while the modules are read
import json
import os
import shlex
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from suite import guard, machine, page, peers, plan, process, program, results, rows, running, server, stats, table
from suite.machine import Bench
from suite.plan import Plan
from suite.program import Interrupted, Wrong
from suite.progress import Progress, clock

SOURCE = Path(__file__).resolve().parent.parent
HELP = """usage: ./dev bench [OPTION ...]

Runs the rows with every peer in turn, prints a table, and writes report.json and index.html.

  --quick            at most 115 seconds, building apart: fewer rows, short runs
  --full             as long as it takes: every row and variant, both ways of scheduling
  --only ROW[,ROW]   these rows, or groups: micro, memory, raw, framework, tails
  --list             print the rows of the mode and end
  --rounds N         5 or more; 5 unless told, 7 in --full
  --no-realtime      ordinary scheduling for the fixed-rate rows too
  --output DIR       where the report goes (build/report)
  --json             print report.json on stdout instead of the table
  --build DIR        the build to measure (build)
  --peers FILE       a JSON list of programs instead of building the peers
  --help             this text

Ends with 0 done, 1 something failed (its row says why) or was interrupted, 2 wrong usage.
"""


@dataclass
class Options:
    mode: str = "default"
    only: list[str] = field(default_factory=list)
    list: bool = False
    rounds: int = 0
    realtime: bool = True
    output: Path | None = None
    json: bool = False
    build: Path = SOURCE / "build"
    peers: Path | None = None
    help: bool = False


def parse(argv: list[str]) -> Options:
    options, rest = Options(), list(argv)
    while rest:
        name, equals, value = rest.pop(0).partition("=")
        if name in ("--only", "--rounds", "--output", "--build", "--peers"):
            if not equals:
                if not rest:
                    raise Wrong(f"{name} needs a value")
                value = rest.pop(0)
            _set_value(options, name, value)
        elif equals:
            raise Wrong(f"{name} takes no value" if name in _FLAGS else f"unknown option {name}; --help lists them")
        elif name in _FLAGS:
            _set_flag(options, name)
        elif name.startswith("-"):
            raise Wrong(f"unknown option {name}; --help lists them")
        else:
            raise Wrong(f"unexpected argument {name!r}; rows are chosen by --only")
    return options


_FLAGS = {"--quick": ("mode", "quick"), "--full": ("mode", "full"), "--list": ("list", True),
          "--no-realtime": ("realtime", False), "--json": ("json", True), "--help": ("help", True),
          "-h": ("help", True)}


def _set_flag(options: Options, name: str) -> None:
    attribute, value = _FLAGS[name]
    if attribute == "mode" and options.mode not in ("default", value):
        raise Wrong("--quick and --full exclude each other")
    setattr(options, attribute, value)


def _set_value(options: Options, name: str, value: str) -> None:
    if name == "--rounds":
        if not value.isascii() or not value.isdigit() or not plan.MIN_ROUNDS <= int(value) <= 1000:
            raise Wrong(f"--rounds {value}: a number from {plan.MIN_ROUNDS} to 1000 is wanted")
        options.rounds = int(value)
    elif name == "--only":
        for word in value.split(","):
            if word not in rows.known_names():
                raise Wrong(f"--only {word or repr(word)}: no such row or group; --list prints them")
            options.only.append(word)
    elif not value:
        raise Wrong(f"{name} needs a value")
    elif name == "--output":
        options.output = Path(value)
    elif name == "--build":
        options.build = Path(value)
        if not options.build.is_dir():
            raise Wrong(f"--build {value}: no such directory")
    else:
        options.peers = Path(value)


def _is_program(entry: object) -> bool:
    return (isinstance(entry, dict) and all(isinstance(entry.get(key), str) for key in ("name", "kind", "program"))
            and isinstance(entry.get("ok"), bool) and isinstance(entry.get("argv", []), list)
            and all(isinstance(word, str) for word in entry.get("argv", [])) and bool(not entry["ok"] or entry.get("argv")))


def read_peers(path: Path) -> list[dict]:
    try:
        entries = json.loads(path.read_text())
    except OSError as error:
        raise Wrong(f"--peers {path}: {error.strerror}") from None
    except ValueError:
        raise Wrong(f"--peers {path}: not JSON") from None
    if not isinstance(entries, list) or not all(map(_is_program, entries)):
        raise Wrong(f"--peers {path}: not a list of programs")
    return entries


def find_bench(options: Options) -> Bench:
    cpus = sorted(os.sched_getaffinity(0))
    weft = next((str(p) for p in (options.build / "tuning" / "weft", options.build / "weft")
                 if os.access(p, os.X_OK)), "")
    watchdog = options.build / "bench" / "guard"
    why_not = guard.why_not(watchdog, len(cpus)) if options.realtime else "--no-realtime"
    return Bench(options.build, cpus, weft, watchdog, why_not)


def describe_settings(options: Options, bench: Bench, the_plan: Plan, estimate: float) -> dict:
    if bench.realtime_why_not:
        scheduling = f"ordinary scheduling throughout: {bench.realtime_why_not}"
    else:
        scheduling = ("fixed-rate rows (-rt) run with server and load under SCHED_RR priority 1 and the real-time "
                      "throttle off, for all peers alike; micro rows and saturation under ordinary scheduling")
    if len(bench.cpus) == 1:
        scheduling += "; one core only: server and load share it, latencies and rates are not defensible"
    return {
        "mode": options.mode, "command": shlex.join(["./dev", "bench", *sys.argv[1:]]),
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "rounds": the_plan.rounds,
        "limit_s": the_plan.limit, "estimate_s": round(estimate), "scheduling": scheduling,
        "realtime": not bench.realtime_why_not, "realtime_why_not": bench.realtime_why_not or None,
        "server_cpu": bench.server_cpu, "load_cpu": bench.load_cpu, "connections": rows.CONNECTIONS,
        "warmup_s": plan.WARMUP_S[options.mode], "echo_bytes": server.ECHO_BYTES,
        "bootstrap": {"resamples": stats.RESAMPLES, "seed": stats.SEED, "interval": 0.95},
        "peer_settings": {"go": "GOGC 100 and 400, GOMAXPROCS = cores of the row",
                          "rust": "current_thread on one core, multi_thread on two",
                          "c": "no runtime: epoll, spinning epoll, io_uring; a free list and two switches; "
                               "heaps: a bump pointer, mimalloc, Boehm's collector"},
        "saturation_note": rows.SATURATION_NOTE,
        "percentiles": "null with fewer than 100 samples beyond",
    }


def write(report: dict, output: Path) -> None:
    """Both files, each whole or not at all."""
    for name, text in (("report.json", json.dumps(report, indent=1)), ("index.html", page.render(report))):
        scratch = output / f".{name}.part"
        scratch.write_text(text)
        scratch.replace(output / name)


def status_of(report: dict) -> int:
    return 1 if report["interrupted"] or any(e["failed"] for e in report["problems"] + report["rows"]) else 0


def measure(options: Options, bench: Bench, chosen: list[rows.Row], output: Path) -> int:
    began = time.monotonic()
    if options.peers:
        entries, missing_why = read_peers(options.peers), ""
    else:
        print("bench: looking at the peers, building what is missing", file=sys.stderr, flush=True)
        entries, missing_why = peers.build_all(SOURCE, options.build, bench.cpus)
    found = peers.programs(entries, options.build, missing_why, bench.cpus)
    built_s = time.monotonic() - began
    subject = running.subject_of(found)
    counted = [(row, _runs(row, found, options.mode, subject)) for row in chosen
               if peers.for_row(row, found, options.mode)]
    the_plan = Plan(options.mode, options.rounds or plan.ROUNDS[options.mode], time.monotonic(), counted)
    estimate = plan.estimate(the_plan)
    print(f"bench: {len(counted)} rows, {the_plan.rounds} rounds, about {clock(estimate)}"
          f" (the peers took {clock(built_s)}, not counted)", file=sys.stderr, flush=True)
    progress = Progress(len(counted), estimate)
    head = {"machine": machine.describe(bench, SOURCE), "interrupted": False,
            "settings": describe_settings(options, bench, the_plan, estimate),
            "peers": peers.describe(found, machine.weft_version(bench.weft))}
    parts: list[dict] = []

    def keep(row: running.Finished) -> None:
        parts.append(results.part_of(row, subject))
        so_far = results.assemble(parts, subject, {**head, "interrupted": True})
        (output / ".report.json.part").write_text(json.dumps(so_far))
        (output / ".report.json.part").replace(output / "report.json")

    try:
        running.run_all(bench, the_plan, found, subject, progress, keep)
    except Interrupted:
        if not parts:
            raise  # what an earlier run has written stays
        head["interrupted"] = True
    finally:
        process.kill_all()
        progress.clear()
    head["settings"]["took_s"] = round(time.monotonic() - the_plan.began, 1)
    head["machine"]["load_average_after"] = round(os.getloadavg()[0], 2)
    report = results.assemble(parts, subject, head)
    write(report, output)
    show(report, options, output)
    return status_of(report)


def _runs(row: rows.Row, found: dict, mode: str, subject: str) -> int:
    able = [p for p in peers.for_row(row, found, mode) if p.ok]
    return len(able) + (running.has_aa(row, mode) and any(p.peer == subject for p in able))


def show(report: dict, options: Options, output: Path) -> None:
    if options.json:
        print(json.dumps(report, indent=1))
        return
    colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    print(table.render(report, colour))
    if report["interrupted"]:
        print(f"interrupted: the {len(report['rows'])} finished rows are kept")
    print(f"{report['settings']['took_s']:.0f} s · {output / 'report.json'} · {output / 'index.html'}")


def run(argv: list[str]) -> int:
    options = parse(argv)
    if options.help:
        print(HELP, end="")
        return 0
    bench = find_bench(options)
    chosen, missing = rows.selected(options.mode, not bench.realtime_why_not, options.only)
    if options.list:
        for row in chosen:
            print(f"{row.id:<24} {row.question}")
        return 0
    refuse = machine.unoptimised(options.build)
    if refuse:
        print(f"bench: {refuse}: its numbers would mean nothing", file=sys.stderr)
        return 1
    if missing:
        print(f"bench: {', '.join(missing)} needs real-time scheduling: {bench.realtime_why_not}", file=sys.stderr)
        if not chosen:
            return 1
    if options.peers:
        read_peers(options.peers)
    output = options.output or options.build / "report"
    try:
        output.mkdir(parents=True, exist_ok=True)
        (output / ".report.json.part").write_text("")
        (output / ".report.json.part").unlink()
    except OSError as error:
        raise Wrong(f"--output {output}: {error.strerror}") from None
    return max(measure(options, bench, chosen, output), 1 if missing else 0)


if __name__ == "__main__":
    sys.exit(program.main("bench", run))
