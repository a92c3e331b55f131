"""The rows: what is measured, for which question, in which group, for how long.

A row is one line of work that every peer does alike. Its id is the `workload` of report.json. Rows of
one `base` differ only in cores (`-p1`, `-p2`) or in scheduling (`-rt`); a base selects all of them.
The two classes of servers, raw and framework, are groups of their own and are never compared.
"""
from dataclasses import dataclass, replace

MODES = ("quick", "default", "full")
GROUPS = ("micro", "memory", "raw", "framework")


@dataclass(frozen=True)
class Row:
    id: str
    base: str
    group: str  # one of GROUPS
    section: str  # the heading it stands under
    kind: str  # micro | memory | load
    question: str
    unit: str  # of the primary metric
    metrics: tuple[str, ...]
    seconds: dict[str, float]  # measured time of one run, by mode; a mode that is absent leaves the row out
    micro: str = ""  # the row of the micro or memory program
    procs: int = 1
    server_mode: str = ""  # raw | http | echo
    rate: int = 0  # requests per second; 0: closed loop, at saturation
    realtime: bool = False
    curve: bool = False  # a point of a curve only, or a whole one
    collects: bool = False  # Go's garbage collector has something to do: GOGC matters
    aa: bool = False  # an A/A run is made on it
    firm: bool = False  # never shortened: a round would have too few samples for its headline
    headline: str = ""  # the primary metric, where the usual choice is not meant
    setup: float = 0.0  # seconds a run takes beyond the measured time, whatever it lasts
    beside: str = ""  # the base of a row that is judged by this one: whoever selects that one has this too

    @property
    def primary(self) -> str:
        """The metric that `rounds`, `median`, `low` and `high` of a result are about."""
        return self.headline or ("p99" if "p99" in self.metrics else self.metrics[0])

    @property
    def spread(self) -> bool:
        """A distribution is reported, not a mean."""
        return self.kind == "load" or not {"p99", "p9999"}.isdisjoint(self.metrics)


SECTIONS = {
    "micro1": "micro, one core (ns per operation)",
    "micro2": "micro, two cores (ns per operation)",
    "sched": "scheduling latency, two cores",
    "memory": "memory (CPU time of all threads, collection included)",
    "pushes": "tails of pushes into a window of live messages",
    "raw": "raw HTTP-shaped and TCP echo, one server core",
    "framework": "framework HTTP (parsing, routing, Date), one server core",
    "tails-raw": "tails, raw",
    "tails-framework": "tails, framework",
    "curve": "load and latency, raw",
}
# The rows that are asked for most come first, should time run out.
RUNNING_ORDER = ("raw", "tails-raw", "micro1", "framework", "tails-framework", "micro2", "memory", "pushes", "sched", "curve")
CONNECTIONS = 64
SATURATION_NOTE = ("on two cores the load generator is the limit for every good server (wrk's near 140,000 "
                   "requests/s): a rate alone says nothing, at saturation CPU per request is what is compared")

@dataclass(frozen=True)
class Quotient:
    """A figure that two rows make together: the median of `top` over that of `bottom`, for each peer."""
    name: str
    words: str
    top: str
    bottom: str
    bottom_peer: str = ""  # whose; "": the same peer's
    floor: bool = True  # has one: it knows of the second core
    higher: bool = False  # is better


QUOTIENTS = (
    Quotient("fork-join 1 core/2", "the speed-up of the fork-join tree by a second core", "fork-join-p1", "fork-join-p2",
             floor=False, higher=True),
    Quotient("wake-polling/rtt", "a wake of a polling core over the floor's round trip of a cache line", "wake-polling-p2",
             "rtt-p2", bottom_peer="c"),
)

# name, question, in quick with 1 core, 2 or both (12), allocates, A/A at these procs, set-up seconds
_MICRO = (
    ("spawn-batch", "spawn 1000 goroutines that add 1, join all; per goroutine", 1, True, (1,), 0.04),
    ("spawn-one", "spawn one goroutine and join it", None, True, (), 0.04),
    ("spawn-park", "spawn a goroutine that parks once and is woken; batches of 1000", 1, True, (), 0.04),
    ("fork-join", "a binary tree of 2^20 leaves: spawn the left child, do the right one, join; per leaf", None, True, (), 1.5),
    ("yield-2", "two goroutines yield in turn; per yield", 1, False, (), 0.04),
    ("yield-1000", "a thousand goroutines yield in turn; per yield", None, False, (), 0.04),
    ("ping-pong", "round trip over a pair of unbuffered channels", 12, False, (1,), 0.04),
    ("chan-spsc", "channel of 128, one sender, one receiver; per element", 12, False, (), 0.04),
    ("chan-mpmc", "channel of 128, four senders, four receivers; per element", 2, False, (2,), 0.04),
    ("select-2", "receive by select over two unbuffered channels; per element", None, False, (), 0.04),
    ("chan-try", "try to send and try to receive by turns, on one goroutine; per call", None, False, (), 0.04),
    ("mutex", "lock and unlock, nobody else wants it", 1, False, (), 0.04),
    ("mutex-contended", "four tasks lock, add, unlock; per lock", 2, False, (), 0.04),
    ("rwmutex-read", "two tasks read, and write every thousandth time; per lock", None, False, (), 0.04),
    ("map-sync-load", "two tasks look up one of 100,000 keys in a map for several, and store every tenth time; per call", None, False, (), 0.1),
    ("map-sync-store", "two tasks put 100,000 keys, each its own, into an empty one, and free it; per key", None, True, (), 0.04),
    ("pool-get-put", "two tasks take three blocks out of a pool, write to them, and put them back; per block", None, False, (), 0.04),
    ("once", "come to what has been done once already", None, False, (), 0.04),
    ("assert", "assert that a value of one of two types is an interface's, and call its method; per assertion", None, False, (), 0.04),
    ("semaphore", "acquire one permit of three and release it, nobody else wants it", None, False, (), 0.04),
    ("defer", "leave a block with one deferred call; per call", None, False, (), 0.04),
    ("protect", "call a function that may panic, and does not; per call", None, False, (), 0.04),
    ("panic", "panic, run one deferred call, and be stopped by the caller; per panic", None, False, (), 0.04),
    ("timer", "set and stop a timer with 100,000 others pending; per pair", 1, True, (), 0.1),
    ("timer-reset", "reset a timer, earlier and later by turns, with 100,000 others pending; per reset", 1, False, (), 0.1),
)
# name, question, modes, set-up seconds: on one core, as it is one goroutine's work
_ALONE = (
    ("map-insert", "insert a million 64-bit integers into an empty map, and free it; per key", ("default", "full"), 0.3),
    ("map-hit", "look up each of a million keys that are there", ("default", "full"), 0.3),
    ("map-miss", "look up a million keys that are not there", ("default", "full"), 0.3),
    ("map-worst", "the worst insertion of ten million into one map: the one that takes longest in each of three fills", ("full",), 12.0),
    ("json-decode", "decode 1 MiB of JSON, such as an API sends, into structs, and free them; per KiB", ("default", "full"), 0.3),
    ("json-encode", "encode them as JSON again; per KiB", ("default", "full"), 0.3),
)
# name, question, base of the row that it is also chosen with
_BETWEEN_CORES = (
    ("rtt", "a cache line from one core to the other and back", "wake-polling"),
    ("wake-polling", "wake a goroutine that waits on the other core, whose P polls; one way", ""),
)

_ALLOC = "allocate {0} bytes, zeroed, with 64 MiB live of which half dies each cycle; CPU time of all threads"
_PUSH = "put a new message in the place of the oldest: {0}; latency of a push"
# name, cores, question, metrics, unit, measured seconds in quick, default and full (0: not in it), set-up seconds
_MEMORY = (
    *((f"alloc-{size}", 1, _ALLOC.format(size), ("ns", "rss"), "ns", (0.04, 0.12, 0.5), setup)
      for size, setup in ((16, 0.6), (64, 0.3), (256, 0.2))),
    ("binary-trees-16", 1, "binary trees of depth 16", ("wall", "cpu_s", "rss"), "s", (0.001, 0.001, 0.001), 0.4),
    *(("binary-trees-18", procs, "binary trees of depth 18", ("wall", "cpu_s", "rss"), "s", (0, 0.001 * (procs == 1), 0.001), 1.7)
      for procs in (1, 2)),
    ("gc-hold", 1, "the longest hold of a goroutine by the collector, with 10,000 of them and 1 GiB live", ("hold", "rss"), "us",
     (0, 0.5, 2.0), 1.8),
    ("mark-tree", 1, "mark a heap rich in pointers, a binary tree: GB a second and core", ("gbs",), "GB/s", (0, 0.2, 1.0), 0.5),
    ("mark-lists", 1, "mark a heap rich in pointers, a thousand lists: GB a second and core", ("gbs",), "GB/s", (0, 0, 1.0), 0.8),
    ("mark-poor", 1, "mark a heap poor in pointers: GB a second and core", ("gbs",), "GB/s", (0, 0, 1.0), 0.4),
    ("set-idle", 1, "store a pointer while the collector is idle; and what that is more than a plain store", ("ns", "extra"), "ns",
     (0, 0.1, 0.5), 0.05),
)
# name, question, measured seconds, set-up seconds: so long that a collector at its usual setting works in every round.
_PUSHES = (
    ("ring-push", _PUSH.format("200,000 live messages of 1 KiB in a ring"), (0.25, 0.5, 2.0), 0.5),
    ("map-push", _PUSH.format("1,000,000 live messages of 256 bytes in a map"), (0.32, 0.8, 2.0), 0.6),
)


def _in_modes(seconds: tuple[float, float, float]) -> dict[str, float]:
    return {mode: s for mode, s in zip(MODES, seconds) if s}


def _memory_rows() -> list[Row]:
    rows = [Row(f"{name}-p{procs}", name, "memory", "memory", "memory", question, unit, metrics, _in_modes(seconds), micro=name,
                procs=procs, collects=True, aa=name == "alloc-64", headline=metrics[0], setup=setup)
            for name, procs, question, metrics, unit, seconds, setup in _MEMORY]
    rows.append(Row("rss-curve-p1", "rss-curve", "memory", "memory", "memory",
                    "time against memory: binary trees of depth 16 at GOGC 50, 100, 200 and 400; CPU time of all threads a node", "ns",
                    ("ns", "rss"), {"default": 0.001, "full": 0.001}, micro="binary-trees-16", curve=True, collects=True, setup=0.5))
    rows += [Row(f"{name}-p1", name, "memory", "pushes", "memory", question, "us", ("p999", "p9999", "max", "cpu", "rss"),
                 _in_modes(seconds), micro=name, collects=True, headline="p9999", firm=True, setup=setup)
             for name, question, seconds, setup in _PUSHES]
    return rows


def _micro_rows() -> list[Row]:
    rows = []
    for procs in (1, 2):
        for name, question, quick, collects, aa, setup in _MICRO:
            seconds = {"default": 0.12, "full": 0.5}
            if str(procs) in str(quick):
                seconds["quick"] = 0.04
            rows.append(Row(f"{name}-p{procs}", name, "micro", f"micro{procs}", "micro", question, "ns",
                            ("ns",), seconds, micro=name, procs=procs, collects=collects,
                            aa=procs in aa, setup=setup))
        if procs == 2:
            rows += [Row(f"{name}-p2", name, "micro", "micro2", "micro", question, "ns", ("ns",),
                         {"quick": 0.04, "default": 0.15, "full": 0.5}, micro=name, procs=2, setup=0.05, beside=beside)
                     for name, question, beside in _BETWEEN_CORES]
        for count, quick, setup in (("100k", 0.04, 0.2), ("1m", None, 3.0)):
            seconds = {"full": 0.1}
            if procs == 1:
                seconds["default"] = 0.1
            if procs == 1 and quick:
                seconds["quick"] = quick
            if procs == 2 and count == "100k":
                seconds["default"] = 0.1
            rows.append(Row(f"park-{count}-p{procs}", f"park-{count}", "micro", f"micro{procs}", "micro",
                            f"create {count} parked goroutines; time and memory (page tables included) of each",
                            "ns", ("ns", "bytes"), seconds, micro=f"park-{count}", procs=procs,
                            collects=True, setup=setup))
    for name, question, modes, setup in _ALONE:
        rows.append(Row(f"{name}-p1", name, "micro", "micro1", "micro", question, "ns", ("ns",),
                        {mode: {"default": 0.12, "full": 0.5}[mode] for mode in modes}, micro=name, procs=1,
                        collects=True, setup=setup))
    rows.append(Row("sched-latency-p2", "sched-latency", "micro", "sched", "micro",
                    "how late do 1000 goroutines wake that sleep and compute in bursts, half a core's worth, while one more "
                    "computes all the time; and how much of a core is that one left", "us",
                    ("p50", "p99", "p999", "share"), {"default": 2.5, "full": 5.0}, micro="sched-latency", procs=2,
                    headline="p999", firm=True, setup=0.4))
    return rows


def _load_rows() -> list[Row]:
    rows = []
    for group, mode, word in (("raw", "raw", "a minimal scan for the request's end"),
                              ("framework", "http", "real parsing, routing and Date header")):
        rows.append(Row(f"{group}-saturation", f"{group}-saturation", group, group, "load",
                        f"64 connections as fast as they go; {word}", "us", ("cpu", "rate"),
                        {"quick": 0.35, "default": 1.0, "full": 3.0}, server_mode=mode,
                        collects=mode == "http", aa=mode == "raw", setup=0.08))
        for rate, quick in ((20000, 0.58), (50000, 0.3)):
            seconds = {"default": 1.8, "full": 4.8}
            if mode == "raw" or rate == 50000:
                seconds["quick"] = quick
            base = f"{group}-{rate // 1000}k"
            rows.append(Row(base, base, group, f"tails-{group}", "load",
                            f"{rate:,} requests/s, open loop, 64 connections; {word}", "us",
                            ("p50", "p99", "p999", "cpu"), seconds, server_mode=mode, rate=rate,
                            collects=mode == "http", aa=mode == "raw", setup=0.08))
    rows.append(Row("tcp-echo", "tcp-echo", "raw", "raw", "load",
                    "TCP echo of 64 bytes, 64 connections as fast as they go", "us", ("cpu", "rate"),
                    {"default": 1.0, "full": 3.0}, server_mode="echo", setup=0.08))
    rows.append(Row("tcp-echo-20k", "tcp-echo-20k", "raw", "tails-raw", "load",
                    "TCP echo of 64 bytes, 20,000 messages/s, open loop, 64 connections", "us",
                    ("p50", "p99", "p999", "cpu"), {"default": 1.2, "full": 4.8}, server_mode="echo",
                    rate=20000, setup=0.08))
    for rate, modes in ((5, "df"), (10, "f"), (35, "df"), (75, "df"), (100, "df")):
        seconds = {m: s for m, s in (("default", 0.6), ("full", 2.0)) if m[0] in modes}
        if rate < 20 and "default" in seconds:
            seconds["default"] = 2.5 if rate == 5 else 1.5
        rows.append(Row(f"curve-raw-{rate}k", f"curve-raw-{rate}k", "raw", "curve", "load",
                        f"{rate},000 requests/s, open loop, 64 connections", "us", ("p50", "p99", "cpu"),
                        seconds, server_mode="raw", rate=rate * 1000, curve=True, setup=0.08))
    return rows


def all_rows(mode: str, realtime: bool) -> list[Row]:
    """The rows of a mode in running order. Fixed rates run under real-time scheduling when that is to be had;
    --full has both ways."""
    rows = []
    for row in _micro_rows() + _memory_rows() + _load_rows():
        if mode not in row.seconds:
            continue
        if not (row.rate and realtime):
            rows.append(row)
            continue
        if mode == "full" and not row.curve:
            rows.append(row)
        rows.append(replace(row, id=f"{row.id}-rt", realtime=True, aa=row.aa))
    return sorted(rows, key=lambda row: RUNNING_ORDER.index(row.section))


def known_names() -> list[str]:
    """Whatever --only takes, in any mode."""
    names = list(GROUPS) + ["tails"]
    for row in _micro_rows() + _memory_rows() + _load_rows():
        names += [row.base, row.id] + ([f"{row.id}-rt"] if row.rate else [])
    return list(dict.fromkeys(names))


def matches(row: Row, name: str) -> bool:
    return name in (row.id, row.base, row.group, row.beside, f"{row.beside}-p{row.procs}") or (name == "tails" and row.section.startswith("tails"))


def selected(mode: str, realtime: bool, names: list[str]) -> tuple[list[Row], list[str]]:
    """The rows to run, and the names that select none as things are. A name whose rows belong to a longer
    mode only is taken from there, at that mode's length."""
    rows, missing = all_rows(mode, realtime), []
    if not names:
        return rows, missing
    chosen = [row for row in rows if any(matches(row, name) for name in names)]
    for name in names:
        if any(matches(row, name) for row in chosen):
            continue
        for longer in MODES[MODES.index(mode) + 1:]:
            extra = [row for row in all_rows(longer, realtime) if matches(row, name)]
            if extra:
                chosen += [replace(row, seconds={mode: row.seconds[longer]}) for row in extra]
                break
        else:
            missing.append(name)
    return chosen, missing
