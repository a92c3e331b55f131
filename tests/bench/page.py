#!/usr/bin/env python3
"""index.html: self-contained, and drawn by a real browser without an error, wide and narrow, light and dark."""
import json
import re
from pathlib import Path

import browser
import fakes
import tap
from browser import browse, console_lines, drawn
from suite import page


def measured(root: Path, *options: str) -> dict:
    fakes.make_build(root)
    fakes.bench(root, "--quick", "--no-realtime", *options)
    return fakes.report(root)


_report: dict = {}


def report() -> dict:
    """One report for all tests, with every kind of row in it."""
    if not _report:
        with fakes.scratch() as name:
            _report.update(measured(Path(name), "--only", "ping-pong,park-100k-p1,wake-polling,sched-latency,alloc-64,ring-push,rss-curve,raw-saturation,raw-20k,raw-50k,"
                                                          "framework-50k"))
    return json.loads(json.dumps(_report))


# The report in a frame, as a window is never narrower than 500: every <details> is opened, every chart pointed at.
FRAME = """<!doctype html><iframe id="frame" style="width: %dpx; height: 900px; border: 0" src="index.html"></iframe><pre></pre><script>
const frame = document.getElementById("frame"), round = Math.round;
frame.addEventListener("load", () => setTimeout(() => {
	const page = frame.contentDocument, root = page.documentElement;
	for (const one of page.querySelectorAll("details")) one.open = true;
	let wide = root.scrollWidth;
	for (const chart of page.querySelectorAll(".plot svg")) for (let i = 1; i < 20; i++) {
		const at = chart.getBoundingClientRect();
		chart.dispatchEvent(new frame.contentWindow.PointerEvent("pointermove", { clientX: at.left + at.width * i / 20, bubbles: true }));
		wide = Math.max(wide, root.scrollWidth);
	}
	const tables = [...page.querySelectorAll("table")].map((table) => {
		const box = table.parentElement;
		return { table: round(table.offsetWidth), box: round(box.clientWidth), scrolls: frame.contentWindow.getComputedStyle(box).overflowX, label: round(table.querySelector("tbody th")?.offsetWidth ?? 999) };
	});
	document.querySelector("pre").textContent = JSON.stringify({ wide, window: root.clientWidth, tables });
}, 1000));
</script>"""


def measured_in_a_frame(html: str, width: int) -> dict:
    with fakes.scratch() as name:
        (Path(name) / "index.html").write_text(html)
        dom, log = browser.run(Path(name) / "frame.html", FRAME % width, "--allow-file-access-from-files")
    found = re.search("<pre>({.*})</pre>", dom)
    tap.check(found, log)
    return json.loads(found[1])


def count(pattern: str, text: str) -> int:
    return len(re.findall(pattern, text))


def test_nothing_is_fetched():
    html = page.render(report())
    markup = html.replace("http://www.w3.org/2000/svg", "")
    markup = re.sub(r'<script type="application/json".*?</script>', "", markup, flags=re.S)
    tap.equal(re.findall(r"(?:https?:)?//[a-z][\w.]+/|@import|url\((?!#)", markup.replace("`url(#", "")), [])
    tap.check("default-src 'none'" in html)


def test_every_curve_is_drawn():
    have = report()
    tails = [r for r in have["results"] if r["curve"] and next(
        row for row in have["rows"] if row["id"] == r["workload"])["section"].startswith(("tails", "sched", "pushes"))]
    for width, suffix in ((1400, "#light"), (1400, "#dark"), (390, "#light"), (390, "#dark")):
        dom = drawn(page.render(have), width, suffix)
        curves = re.findall(r'<path class="curve[^>]* d="([^"]*)"', dom)
        long = [d for d in curves if d.count("L") > 15]
        tap.equal(len(long), len(tails))
        tap.check(not any("NaN" in d or "Infinity" in d for d in curves), "a coordinate is not a number")
        tap.check(f'data-theme="{suffix[1:]}"' in dom, "the theme of the fragment")


def test_the_parts_of_the_report_are_there():
    dom = drawn(page.render(report()))
    for words in ("99.9%", "hiccups, longest", "CPU time per operation", "p99 against offered load", "The noise: A/A",
                  "Machine, versions, settings", "go 1.0", "wake-polling/rtt", "Scheduling latency", "Time against memory", "p99.99", "GOGC", "not built: weft has no HTTP server yet"):
        tap.check(words in dom, words)
    tap.check(count('class="ratio"', dom) >= 8, "forest plots")
    tap.check(count('class="hiccup"', dom) >= 3, "hiccup lines")
    tap.check(count("<table", dom) >= 8, "tables")


def test_charts_fit_a_narrow_screen():
    dom = drawn(page.render(report()), 390)
    widths = [float(w) for w in re.findall(r'viewBox="0 0 ([\d.]+) ', dom)]
    tap.check(widths and max(widths) <= 500, widths)


def lengthened(data, key: str = ""):
    """The texts that come from outside, each with a word behind it that is wider than any screen."""
    if isinstance(data, dict):
        return {k: lengthened(v, k) for k, v in data.items()}
    if isinstance(data, list):
        return [lengthened(v, key) for v in data]
    outside = ("why", "note", "version", "cpu", "kernel", "command", "scheduling")
    return data + "/a/path/without/blanks" * 20 if isinstance(data, str) and key in outside else data


def test_the_page_is_no_wider_than_the_window():
    have = report()
    hard = lengthened(have) | {"rows": have["rows"]}
    for data, width in ((hard, 390), (hard, 1280), (have, 390)):
        found = measured_in_a_frame(page.render(data), width)
        tap.check(found["wide"] <= found["window"] <= width, found)
        tap.check(len(found["tables"]) > 8 and all(t["scrolls"] == "auto" for t in found["tables"]), found)
        if width == 390:
            tap.check(any(t["table"] > t["box"] for t in found["tables"]), "no table is wide enough to prove anything")
            tap.check(all(t["label"] >= 96 for t in found["tables"]), [t["label"] for t in found["tables"]])


def test_text_of_the_data_stays_text():
    have = report()
    have["problems"] = [{"peer": "go", "program": "x", "why": "</script><img src=x onerror=alert(1)><!--",
                         "failed": True, "workloads": ["a"]}]
    dom = drawn(page.render(have))
    tap.check("<img" not in dom and "&lt;img src=x" in dom)


def test_an_empty_report_is_drawn_too():
    have = report()
    for key in ("rows", "results", "ratios", "aa", "problems"):
        have[key] = []
    drawn(page.render(have | {"interrupted": True}))


def test_rows_without_figures_are_drawn_too():
    have = report()
    for result in have["results"]:
        if result["peer"] != "rust":
            result |= {"median": None, "low": None, "high": None, "metrics": {}, "curve": [], "valid": False,
                       "cpu_us_per_op": None, "why": "broken", "failed": True, "rounds": []}
    have["ratios"] = []
    tap.check("broken" in drawn(page.render(have)))


def test_a_script_error_would_be_seen():
    dom, log = browse(page.render(report()).replace("const report = ", "const report = nothing.at.all; const unused = "))
    tap.check(console_lines(log) and 'data-errors="0"' not in dom)


if __name__ == "__main__":
    tap.main(globals())
