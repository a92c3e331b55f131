"""The terminal table, made of the report alone: 100 columns, one line a row and metric."""
import textwrap

from suite.results import better
from suite.rows import SATURATION_NOTE, SECTIONS

WIDTH = 100
_NAME, _CELL, _RATIO = 24, 8, 21
_METRIC_WORDS = {"ns": "", "bytes": "bytes", "cpu": "CPU us", "rate": "1000/s", "p50": "p50 us", "p99": "p99 us",
                 "p999": "p99.9 us", "p9999": "p99.99 us", "max": "max us", "share": "share %", "wall": "s", "cpu_s": "CPU s", "rss": "MiB",
                 "gbs": "GB/s", "hold": "us", "extra": "more"}
_COLOURS = {"win": "\x1b[32m", "LOST": "\x1b[31m", "tie": "\x1b[33m"}
_PEERS = ("weft", "go", "rust", "c")
_HEADS = {"weft": "weft", "go": "Go", "rust": "Rust", "c": "floor"}


def number(value: float | None) -> str:
    if value is None:
        return "–"
    if value >= 99.95:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"


def ratio_number(value: float) -> str:
    if value >= 99.5:
        return f"{value:.0f}"
    if value >= 9.95:
        return f"{value:.1f}"
    return f"{value:.2f}" if value >= 0.0995 else f"{value:.3f}".removeprefix("0")


def ratio_text(ratio: dict | None) -> str:
    if not ratio or ratio["low"] is None:
        return ""
    return (f"{ratio_number(ratio['median'])} [{ratio_number(ratio['low'])}–{ratio_number(ratio['high'])}] "
            f"{ratio['verdict']}")


def figure(result: dict, metric: str) -> float | None:
    """What a result has to say about a metric: the median of rounds, or a percentile of all rounds merged."""
    value = (result["metrics"].get(metric) or {}).get("median")
    return result.get(metric) if value is None and metric.startswith("p") else value


def best(results: list[dict], workload: str, peer: str, metric: str) -> dict | None:
    """The variant of a peer that stands in the table."""
    have = [r for r in results if r["workload"] == workload and r["peer"] == peer and figure(r, metric) is not None]
    if not have:
        return None
    return (max if better(metric) == "higher" else min)(have, key=lambda r: figure(r, metric))


def _cell(report: dict, row: dict, peer: str, metric: str) -> tuple[str, str]:
    """The text, and a mark for a footnote."""
    chosen = best(report["results"], row["id"], peer, metric)
    if chosen:
        value = figure(chosen, metric)
        mark = "*" if chosen["variant"] in ("gogc400",) else "+" if chosen["variant"] == "epoll-spin" else \
            "°" if chosen["variant"] == "uring" else ""
        return number(value / 1000 if metric == "rate" else value) + mark, mark
    entries = [r for r in report["results"] if r["workload"] == row["id"] and r["peer"] == peer]
    if not entries:
        return "", ""
    return (_absence(entries) if all(r["failed"] or r["pending"] for r in entries) else "–"), ""


def _absence(entries: list[dict]) -> str:
    """A word for a cell; the whole reason stands below the table."""
    if all(r["pending"] for r in entries):
        return "unbuilt"
    return next((word for word in ("missing", "too old") if entries[0]["why"].startswith(word)), "failed")


def _headline(report: dict, row: dict, metric: str, against: str) -> dict | None:
    return next((r for r in report["ratios"] if r["workload"] == row["id"] and r["metric"] == metric and
                 r["against"] == against and r["headline"]), None)


def _paint(text: str, word: str, colour: bool) -> str:
    return f"{_COLOURS[word]}{text}\x1b[0m" if colour and word in _COLOURS else text


def _line(report: dict, row: dict, metric: str, name: str, against: list[str], colour: bool) -> tuple[str, set[str]]:
    marks, line = set(), f"{name:<{_NAME}}"
    for peer in _PEERS:
        text, mark = _cell(report, row, peer, metric)
        marks |= {mark} if mark else set()
        line += f"{text:>{_CELL}}"
    for other in against:
        ratio = _headline(report, row, metric, other)
        text = ratio_text(ratio)
        line += " " + _paint(f"{text:>{_RATIO}}", ratio["verdict"] if ratio else "", colour)
    return line.rstrip(), marks


def _kinds_of_floor(report: dict, row: dict, metric: str) -> list[str]:
    """Below a figure of a memory row: whose the floor's is, and what the other heaps in C have."""
    have = [(figure(r, metric), r["variant"]) for r in report["results"] if r["workload"] == row["id"] and r["peer"] == "c"]
    listed = sorted((value, name) for value, name in have if value is not None)
    if row["kind"] != "memory" or not listed:
        return []
    return ["    in C: " + " · ".join(f"{name} {number(value)}" for value, name in listed)]


_CPU_PARTS = {"user": "    of it user", "system": "    of it system", "spin": "    spinning, besides"}


def _parts_of_cpu(report: dict, row: dict) -> list[str]:
    """Below a row's CPU time: what of it is user and system, and, if anybody spins, what that burnt."""
    chosen = {peer: best(report["results"], row["id"], peer, "cpu") for peer in _PEERS}
    lines = []
    for part, name in _CPU_PARTS.items():
        values = [r["cpu"][part] if r else None for r in chosen.values()]
        if any(v and v >= 0.005 for v in values):
            lines.append((f"{name:<{_NAME}}" + "".join(f"{'' if v is None else number(v):>{_CELL}}" for v in values)))
    return [line.rstrip() for line in lines]


def _names(row: dict) -> list[tuple[str, str]]:
    """(metric, name of its line)."""
    base = row["base"]
    if len(row["metrics"]) == 1:
        return [(row["metrics"][0], f"  {base}")]
    if row["kind"] != "load":
        return [(m, f"  {base} {_METRIC_WORDS[m]}".rstrip()) for m in row["metrics"]]
    short = base.replace("-saturation", "-sat").replace("framework", "frame")
    return [(m, f"  {short} {_METRIC_WORDS[m]}") for m in row["metrics"]]


def _wrapped(text: str, indent: str = "  ") -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent + "  ",
                         break_on_hyphens=False)


_FOOTNOTES = {"*": "* Go at GOGC=400, better here than at 100", "+": "+ the floor is the spinning epoll server",
              "°": "° the floor is the io_uring server"}


def _section_title(report: dict, section: str, rows: list[dict]) -> str:
    title = SECTIONS[section]
    if section.startswith("tails"):
        ways = {row["realtime"] for row in rows}
        how = {(True,): "real-time scheduling of both sides", (False,): "ordinary scheduling"}
        title += " – open loop, " + how.get(tuple(ways), "-rt: real-time scheduling of both sides")
    return title


def _section(report: dict, section: str, rows: list[dict], against: list[str], colour: bool) -> tuple[list[str],
                                                                                                   set[str]]:
    lines, marks = [_section_title(report, section, rows)], set()
    for row in rows:
        if row["why"]:
            lines += _wrapped(f"{row['id']}: {row['why']}")
            continue
        if row["kind"] == "memory" and row["curve"]:
            lines += _curve_lines(report, row)
            continue
        for metric, name in _names(row):
            name += " rt" if row["realtime"] and any(not r["realtime"] for r in rows) else ""
            line, new = _line(report, row, metric, name, against, colour)
            lines.append(line)
            marks |= new
            if metric == "cpu":
                lines += _parts_of_cpu(report, row)
            lines += _kinds_of_floor(report, row, metric)
    lines += _quotient_lines(report, rows)
    if section == "raw" or section == "framework":
        lines += _wrapped(SATURATION_NOTE)
    return lines, marks


def _curve_lines(report: dict, row: dict) -> list[str]:
    """Time against memory: a line for each setting, and the time with the other's memory."""
    results = [r for r in report["results"] if r["workload"] == row["id"] and r["median"] is not None]
    lines = []
    for variant in dict.fromkeys(r["variant"] for r in results):
        for metric in row["metrics"]:
            cells = {r["peer"]: figure(r, metric) for r in results if r["variant"] == variant}
            name = f"  {row['base']} {variant.replace('gogc', 'GOGC ')} {_METRIC_WORDS[metric]}".rstrip()
            lines.append((f"{name:<{_NAME}}" + "".join(f"{number(cells[p]) if p in cells else '':>{_CELL}}" for p in _PEERS)).rstrip())
    equal = [e for e in report["equal_rss"] if e["workload"] == row["id"]]
    for against in dict.fromkeys(e["against"] for e in equal):
        points = [(e["rss_mib"], e["ratio"]) for e in equal if e["against"] == against]
        said = " · ".join(f"{number(rss)} MiB {ratio_number(ratio) if ratio else 'more needed'}" for rss, ratio in points)
        lines += _wrapped(f"{equal[0]['peer']}/{against} with the memory of {_HEADS[against]}: {said}", "    ")
    return lines


def _quotient_lines(report: dict, rows: list[dict]) -> list[str]:
    """Those whose divisor, the later one of its two rows, stands in the section."""
    here = [q for q in report["quotients"] if any(row["id"] == q["bottom"] for row in rows)]
    lines = []
    for name in dict.fromkeys(q["name"] for q in here):
        by_peer = {q["peer"]: number(q["median"]) for q in here if q["name"] == name}
        lines.append((f"{'  ' + name:<{_NAME}}" + "".join(f"{by_peer.get(p, ''):>{_CELL}}" for p in _PEERS)).rstrip())
    return lines


def tally(report: dict) -> dict[str, int]:
    """Headline ratios against Go and Rust, by verdict."""
    count = {"win": 0, "tie": 0, "LOST": 0}
    rows = {row["id"]: row for row in report["rows"]}
    for ratio in report["ratios"]:
        counted = ratio["headline"] and ratio["against"] in ("go", "rust") and ratio["metric"] != "rate"
        if counted and not rows[ratio["workload"]]["curve"] and ratio["verdict"] in count:
            count[ratio["verdict"]] += 1
    return count


def _aa_lines(report: dict) -> list[str]:
    if not report["aa"]:
        return []
    spread = [f"{a['workload']} {a['metric']} {ratio_number(a['median'])} "
              f"[{ratio_number(a['low'])}–{ratio_number(a['high'])}]" for a in report["aa"] if a["low"] is not None]
    return _wrapped(f"A/A, {report['aa'][0]['peer']} against itself: " + " · ".join(spread), "")


def _problem_lines(report: dict) -> list[str]:
    lines = []
    for problem in report["problems"]:
        where = problem["workloads"]
        shown = ", ".join(where[:3]) + (f" and {len(where) - 3} more" if len(where) > 3 else "")
        lines += _wrapped(f"{problem['peer']} ({problem['program']}): {problem['why']} [{shown}]", "")
    for r in report["results"]:
        if r["why"] and not r["valid"] and r["median"] is None and r["rounds"]:
            lines += _wrapped(f"{r['workload']} {r['peer']}: {r['why']}", "")
    return lines


def _version(peer: dict) -> str:
    said, name = peer["version"], peer["name"]
    return said if said.startswith(name) else f"{name} {said}"


def render(report: dict, colour: bool) -> str:
    subject = report["subject"]
    against = [p for p in ("go", "rust") if p != subject] if subject != "c" else ["go", "rust"]
    head = f"{'':<{_NAME}}" + "".join(f"{_HEADS[p]:>{_CELL}}" for p in _PEERS)
    head += "".join(f" {subject + '/' + p + ' [95%]':>{_RATIO}}" for p in against)
    lines, marks = [head], set()
    for section in SECTIONS:
        rows = [row for row in report["rows"] if row["section"] == section]
        if rows:
            body, new = _section(report, section, rows, against, colour)
            lines += ["", *body]
            marks |= new
    count = tally(report)
    names = " and ".join(_HEADS[p] for p in against)
    lines += ["", f"{subject} against {names}: {count['win']} won, {count['tie']} ties, {count['LOST']} LOST"
              f" (below 1 is better; the interval spans 1: a tie)"]
    lines += [_FOOTNOTES[mark] for mark in sorted(marks)]
    lines += _aa_lines(report) + _problem_lines(report)
    lines += _wrapped(report["settings"]["scheduling"], "")
    lines += _wrapped(" · ".join(_version(peer) for peer in report["peers"] if peer["version"]), "")
    return "\n".join(lines)
