#!/usr/bin/env python3
"""The mutations of a model, out of the edge table of the source that it runs.

    edges.py [--elsewhere FUNCTION]... SOURCE [SOURCE ...]

The table is in the essay of the first source (lockfree/runq.h has one). Each line of it is an edge: who releases, who
acquires, and what goes over.

    R1 FUNCTION: store_rel(OPERAND)  ->  A1 FUNCTION: load_acq(OPERAND)    what goes over

There may be several functions and several operations at either end, with commas between; each function does each of
the operations. Edges that share a number are further lines of one: their numbers go on from 1. What goes over may begin
with what is to be known of the edge:

    plain:           only plain accesses show it, and it is spoilt where the compiler tells of them
    alone:           nobody else writes the operand meanwhile, so to split what is done to it shows nothing
    alone, plain:    both

Printed is the array `edges` of struct explorer_mutation: the order is taken from every end, and every
read-modify-write among them is split, unless it is alone. A sequentially consistent operation becomes relaxed, of one
that acquires and releases only that half goes which the edge is about.

Nothing is passed over: a line that begins as an edge must be one, each of its operations must be in the function that
it names, every operation of the sources that has an order must be in the table, and one that acquires and releases
at both ends of edges. But what the functions do that are named as elsewhere's is in the table of another file.
"""
import re
import sys
from dataclasses import dataclass
from pathlib import Path

ORDERS = {"rel", "acq", "acqrel", "seq"}
READS_AND_WRITES = ("cas", "add", "sub", "or", "and", "swap")
VERBS = {"load": "LOAD", "store": "STORE", "cas": "CAS", "add": "ADD", "sub": "ADD", "or": "OR", "and": "AND",
         "swap": "SWAP", "fence": "FENCE"}
FENCE = "fence_full"

LINE = re.compile(r"^[ \t]*\*[ \t]*([RA]\d+\b.*)$", re.M)
OPERATION = r"\w+\([\w\[\].>-]*\)"
END = rf"(\w+(?:, \w+)*):\s+({OPERATION}(?:, {OPERATION})*)"
EDGE = re.compile(rf"R(\d+) {END}\s*->\s*A(\d+) {END}\s+(?:((?:alone|plain|alone, plain)): )?(\S.*)")
FUNCTION = re.compile(r"^[a-z_][^\n;#]*?\b(\w+)\((?:[^;{}]*)\)\n\{\n(.*?)^\}", re.M | re.S)
CALL = re.compile(rf"\b((?:{'|'.join(v for v in VERBS if v != 'fence')})_(?:{'|'.join(sorted(ORDERS))})|{FENCE})\(")


class Malformed(Exception):
    """A table that cannot be read, or that does not tell what the source does."""


@dataclass(frozen=True)
class Operation:
    """One place: all operations of this name on this operand in this function."""
    function: str
    call: str
    operand: str

    @property
    def verb(self) -> str:
        return self.call.rpartition("_")[0]

    @property
    def order(self) -> str:
        return "seq" if self.call == FENCE else self.call.rpartition("_")[2]

    def __str__(self) -> str:
        return f"{self.function}: {self.call}({self.operand})"


@dataclass(frozen=True)
class Edge:
    number: int
    releases: tuple[Operation, ...]
    acquires: tuple[Operation, ...]
    marks: tuple[str, ...]


def operations(functions: str, calls: str) -> tuple[Operation, ...]:
    names = [re.fullmatch(r"(\w+)\((.*)\)", call).groups() for call in re.findall(OPERATION, calls)]
    for call, operand in names:
        if not CALL.fullmatch(call + "("):
            raise Malformed(f"{call} is no operation with an order")
        if bool(operand) == (call == FENCE):
            raise Malformed(f"{call}({operand}): a fence has no operand, and all others have one")
    return tuple(Operation(f, call, operand) for f in functions.split(", ") for call, operand in names)


def parse_edge(line: str) -> Edge:
    match = EDGE.fullmatch(line.strip())
    if not match:
        raise Malformed(f"no edge: {line.strip()}")
    number, functions, calls, partner, others, other_calls, marks, _ = match.groups()
    if number != partner:
        raise Malformed(f"R{number} has A{partner} for a partner")
    edge = Edge(int(number), operations(functions, calls), operations(others, other_calls),
                tuple((marks or "").split(", ")))
    for end in edge.releases:
        if end.order == "acq":
            raise Malformed(f"R{number} does not release: {end}")
    for end in edge.acquires:
        if end.order == "rel":
            raise Malformed(f"A{number} does not acquire: {end}")
    return edge


def parse_table(essay: str) -> list[Edge]:
    edges = [parse_edge(line) for line in LINE.findall(essay)]
    if not edges:
        raise Malformed("no edge table")
    before = 0
    for edge in edges:
        if edge.number not in (before, before + 1):
            raise Malformed(f"R{edge.number} follows R{before}")
        before = edge.number
    return edges


def first_argument(words: str) -> str:
    depth = 0
    for at, c in enumerate(words):
        if depth == 0 and c in ",)":
            return words[:at]
        depth += (c in "([") - (c in ")]")
    raise Malformed(f"no end of the argument: {words[:40]}")


def bare(source: str) -> str:
    """Without comments and attributes."""
    return re.sub(r"/\*.*?\*/|__attribute__\(\(.*?\)\)", "", source, flags=re.S)


def done_by(source: str) -> list[Operation]:
    """Every operation that has an order; the operand is all of the first argument."""
    found = []
    for function, body in FUNCTION.findall(bare(source)):
        for match in CALL.finditer(body):
            found.append(Operation(function, match[1], first_argument(body[match.end():])))
    return found


def matches(place: Operation, done: Operation) -> bool:
    return (place.function, place.call) == (done.function, done.call) and place.operand in done.operand


def check(edges: list[Edge], source: str, elsewhere: tuple[str, ...]) -> None:
    places = {end for edge in edges for end in edge.releases + edge.acquires}
    sides = ([edge.releases for edge in edges], [edge.acquires for edge in edges])
    done = done_by(source)
    for place in sorted(places, key=str):
        if not any(matches(place, d) for d in done):
            raise Malformed(f"the source has it not: {place}")
    for place in sorted(places, key=str):
        if place.order == "acqrel" and not all(any(place in ends for ends in side) for side in sides):
            raise Malformed(f"it is one end alone, and needs half of its order: {place}")
    for d in done:
        if d.function not in elsewhere and not any(matches(place, d) for place in places):
            raise Malformed(f"the table has it not: {d}")


def spoilt(edges: list[Edge]):
    """(name, place, change, plain), each change of a place once."""
    seen = set()
    for edge in edges:
        for letter, ends, half in (("R", edge.releases, "UNRELEASE"), ("A", edge.acquires, "UNACQUIRE")):
            for end in ends:
                changes = ["WEAKEN" if end.order != "acqrel" else half]
                changes += ["SPLIT"] if end.verb in READS_AND_WRITES and "alone" not in edge.marks else []
                for change in changes:
                    if (end, change) not in seen:
                        seen.add((end, change))
                        # Splitting spoils the word itself, which is no plain memory.
                        yield f"{letter}{edge.number}", end, change, "plain" in edge.marks and change != "SPLIT"


def table(edges: list[Edge]) -> str:
    lines = []
    for label, end, change, plain in spoilt(edges):
        row = (f'\t{{"{label} {end}, {change.lower()}", "{end.function}", VERB_{VERBS[end.verb]}, "{end.operand}", '
               f"{change}}},")
        lines += ["#ifdef EXPLORER_PLAIN", row, "#endif"] if plain else [row]
    return "static const struct explorer_mutation edges[] = {\n" + "\n".join(lines) + "\n};\n"


def generate(sources: list[str], elsewhere: tuple[str, ...] = ()) -> str:
    essay = re.match(r"\s*/\*(.*?)\*/", re.sub(r"\A(?:#[^\n]*\n|\s)*", "", sources[0]), re.S)
    if not essay:
        raise Malformed("no essay")
    edges = parse_table("\n".join(" *" + line.strip().removeprefix("*") for line in essay[1].splitlines()))
    check(edges, "\n".join(sources), elsewhere)
    return table(edges)


def main(paths: list[str]) -> int:
    elsewhere: tuple[str, ...] = ()
    while paths[:1] == ["--elsewhere"] and len(paths) > 1:
        elsewhere += (paths[1],)
        paths = paths[2:]
    if not paths or paths[0].startswith("-"):
        print("usage: edges.py [--elsewhere FUNCTION]... SOURCE [SOURCE ...]", file=sys.stderr)
        return 2
    try:
        print(generate([Path(path).read_text() for path in paths], elsewhere), end="")
        return 0
    except (Malformed, OSError) as why:
        print(f"edges.py: {paths[0]}: {why}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
