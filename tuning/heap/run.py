#!/usr/bin/env python3
"""weft heap: what a heap dump has. docs/gc.md."""
import signal
signal.signal(signal.SIGINT, signal.SIG_DFL)  # until main() takes it: no traceback while the modules are read
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[0:1] = [str(ROOT / "tuning"), str(ROOT / "bench")]
from heap import dumpfile, graph, options
from suite import program
from suite.program import Wrong


def _summary(heap: dumpfile.Heap) -> dict:
    live = graph.reached(heap)
    garbage = set(heap.objects) - live
    return {"live": {"objects": len(live), "bytes": sum(heap.objects[at].size for at in live)},
            "garbage": {"objects": len(garbage), "bytes": sum(heap.objects[at].size for at in garbage)},
            "types": [{"type": kind, "objects": n, "bytes": size}
                      for kind, (n, size) in sorted(graph.kinds(heap, live).items(), key=lambda e: (-e[1][1], e[0]))]}


def _show(summary: dict, top: int) -> None:
    live, garbage = summary["live"], summary["garbage"]
    print(f"live {live['objects']} objects, {live['bytes']} bytes; garbage {garbage['objects']} objects, {garbage['bytes']} bytes")
    print(f"{'bytes':>14} {'objects':>10}  type")
    for one in summary["types"][:top]:
        print(f"{one['bytes']:>14} {one['objects']:>10}  {one['type']}")
    if len(summary["types"]) > top:
        print(f"and {len(summary['types']) - top} more types")


def _difference(new: dict, old: dict) -> list[dict]:
    before = {one["type"]: one for one in old["types"]}
    after = {one["type"]: one for one in new["types"]}
    none = {"objects": 0, "bytes": 0}
    found = [{"type": kind, **{key: after.get(kind, none)[key] - before.get(kind, none)[key] for key in none}}
             for kind in before.keys() | after.keys()]
    return sorted((one for one in found if one["objects"] or one["bytes"]), key=lambda one: (-abs(one["bytes"]), one["type"]))


def _show_difference(found: list[dict], top: int) -> None:
    if not found:
        print("no difference in what lives")
        return
    print(f"{'bytes':>14} {'objects':>10}  type")
    for one in found[:top]:
        print(f"{one['bytes']:>+14} {one['objects']:>+10}  {one['type']}")
    if len(found) > top:
        print(f"and {len(found) - top} more types")


def _wanted(heap: dumpfile.Heap, why: str) -> set[int]:
    if why.startswith("0x"):
        try:
            at = int(why, 16)
        except ValueError:
            raise Wrong(f"--why '{why}': no address") from None
        if at not in heap.objects:
            raise Wrong(f"--why '{why}': there is no object")
        return {at}
    found = {at for at, one in heap.objects.items() if why in one.kind.removesuffix("[]").split("|") or why == one.kind}
    if not found:
        raise Wrong(f"--why '{why}': there is no object of such a type")
    return found


def _show_way(way: list[tuple[str, int | None]]) -> None:
    for depth, (kind, at) in enumerate(way):
        print("  " * depth + kind + ("" if at is None else f" at {at:#x}"))


def _run(given: options.Options) -> int:
    heap = dumpfile.read(given.file)
    if given.why:
        way = graph.way_to(heap, _wanted(heap, given.why))
        if given.json:
            print(json.dumps([{"what": kind, "at": at} for kind, at in way]))
        elif way:
            _show_way(way)
        else:
            print("weft heap: nothing keeps it: it is garbage", file=sys.stderr)
        return 0 if way else 1
    summary = _summary(heap)
    if given.old:
        found = _difference(summary, _summary(dumpfile.read(given.old)))
        print(json.dumps(found)) if given.json else _show_difference(found, given.top)
    else:
        print(json.dumps(summary)) if given.json else _show(summary, given.top)
    return 0


def run(argv: list[str]) -> int:
    given = options.parse(argv)
    if given.help:
        print(options.HELP, end="")
        return 0
    return _run(given)


if __name__ == "__main__":
    sys.exit(program.main("weft heap", run))
