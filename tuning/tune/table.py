"""The report on the terminal: a table of medians, then each judged measure with its intervals drawn; 100 columns."""
import math
import textwrap

from tune import measure

WIDTH = 100
_PLOT = 40
_CELL = 9
_HEADS = {"throughput": "rate", "hold_us": "hold"}  # where the name is too long for a column


def _wrapped(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent + "  ", break_on_hyphens=False)


def _label(entry: dict) -> str:
    limit = entry["name"].partition("limit=")[2]
    return f"{'*' if entry['frontier'] else ' '} {entry['gogc']:>5}  {limit:>9}"


def _columns(report: dict) -> list[measure.Measure]:
    """Of the latencies the one that is judged, and the maximum: the others stand in --json and on the page."""
    seen = {key for entry in report["settings"] for key in entry["measures"]}
    tail = next((key for key in measure.TAILS if key in seen), None)
    wanted = ("throughput", tail, "max_us", "rss", "cpu_s", "cycles", "gc_cpu_s", "hold_us")
    return [measure.ALL[key] for key in dict.fromkeys(wanted) if key in seen]


def _cell(entry: dict, one: measure.Measure) -> str:
    summary = entry["measures"].get(one.key)
    if not summary:
        return "–"
    if one in measure.COLLECTOR and not entry["measures"]["cycles"]["median"]:
        return "none" if one.key == "cycles" else "–"
    return one.show(summary["median"])


def _table(report: dict) -> list[str]:
    columns = _columns(report)
    heads = "".join(f"{_HEADS.get(one.key, one.name):>{_CELL}}" for one in columns)
    lines = [f"  {'GOGC':>5}  {'limit':>9} {'runs':>5}{heads}"]
    for entry in report["settings"]:
        good = entry["runs"] - entry["failed"]
        lines.append(f"{_label(entry)} {good:>5}" + "".join(f"{_cell(entry, one):>{_CELL}}" for one in columns))
    if report["frontier"]:
        lines.append("* on the frontier: no other setting is better in one measure and worse in none")
    if any(_cell(entry, measure.ALL["cycles"]) == "none" for entry in report["settings"] if entry["measures"]):
        lines.append("none: no gctrace line came from most of its runs, so no cycle happened there")
    return lines


def axis(low: float, high: float) -> tuple[float, float]:
    """At least a tenth, so that noise far below what matters does not fill the plot."""
    widen = math.sqrt(max(1.0, 1.1 / (high / low)))
    return low / widen, high * widen


def _bar(summary: dict, low: float, high: float) -> str:
    def at(value: float) -> int:
        return round((math.log(value) - math.log(low)) / (math.log(high / low) or 1) * (_PLOT - 1))
    cells = ["·"] * _PLOT
    left, right, middle = (at(summary[end] if summary[end] is not None else summary["median"])
                           for end in ("low", "high", "median"))
    for i in range(left, right + 1):
        cells[i] = "─"
    cells[left], cells[right] = "├", "┤"
    cells[middle] = "●"
    return "".join(cells)


def _range(one: measure.Measure, summary: dict) -> str:
    interval = "" if summary["low"] is None else f" [{one.show(summary['low'])} – {one.show(summary['high'])}]"
    return one.show(summary["median"]) + interval


def _plot(report: dict, verdict: dict) -> list[str]:
    one = measure.ALL[verdict["measure"]]
    shown = [entry for entry in report["settings"] if one.key in entry["measures"]]
    values = [value for entry in shown for end in ("low", "high", "median")
            if (value := entry["measures"][one.key][end]) is not None]
    low, high = axis(min(values), max(values))
    said = f"p {verdict['p']:.2g}" if verdict["p"] >= 0.001 else "p below 0.001"
    lines = ["", f"{one.name}, {one.better} is better: {verdict['verdict']} ({said})"]
    for entry in shown:
        summary = entry["measures"][one.key]
        lines.append(f"{_label(entry)}  {_bar(summary, low, high)} {_range(one, summary)}")
    return lines


def _failures(report: dict) -> list[str]:
    lines = []
    for entry in report["settings"]:
        if entry["failed"]:
            lines += _wrapped(f"{entry['name']}: {entry['failed']} of {entry['runs']} runs failed"
                              + ("" if entry["failed"] < entry["runs"] else ", and it is left out") + f": {entry['why']}")
        if entry["gctrace_unread"]:
            lines += _wrapped(f"{entry['name']}: {entry['gctrace_unread']} gctrace lines could not be read")
    return lines


def _head(report: dict) -> list[str]:
    rounds = max((entry["runs"] for entry in report["settings"]), default=0)
    failed = f", {report['failed']} failed" if report["failed"] else ""
    lines = _wrapped(f"weft tune gc: {report['command_line']}")
    lines += _wrapped(f"{report['runs']} runs{failed}, {len(report['settings'])} settings, {rounds} rounds at most, "
                      f"{report['spent_s']:.1f} s of {report['budget_s']:g} s")
    if report["interrupted"]:
        lines.append("interrupted: this is what there is")
    elif report["ended"]:
        lines += _wrapped(report["ended"])
    if report["left_out"]:
        lines += _wrapped(f"left out, as the budget does not hold {report['rounds']} rounds of all: "
                          + ", ".join(report["left_out"]))
    return [*lines, ""]


def _conclusion(report: dict) -> list[str]:
    lines = [""]
    same = [v["name"] for v in report["verdicts"] if v["verdict"] == "no difference"]
    if same:
        lines += _wrapped(f"no difference: {', '.join(same)}")
    if len(report["frontier"]) < sum(entry["judged"] for entry in report["settings"]):
        lines += _wrapped(f"frontier: {', '.join(report['frontier'])}")
    lines += _wrapped(report["why"])
    return [*lines, report["recommended"]["environment"]] if report["recommended"] else lines


def render(report: dict) -> str:
    lines = _head(report)
    if report["settings"]:
        lines += _table(report) + _failures(report)
    for verdict in report["verdicts"]:
        lines += _plot(report, verdict)
    return "\n".join(lines + _conclusion(report))
