#!/usr/bin/env python3
"""index.html: self-contained, and drawn by a real browser without an error, wide and narrow, light and dark."""
import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import fakes
import tap
from suite import page

BROWSER = next((p for n in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(n))), None)
FLAGS = ("--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
         "--disable-component-update --disable-sync --enable-logging=stderr --virtual-time-budget=4000").split()


def measured(root: Path, *options: str) -> dict:
    fakes.make_build(root)
    fakes.bench(root, "--quick", "--no-realtime", *options)
    return fakes.report(root)


_report: dict = {}


def report() -> dict:
    """One report for all tests, with every kind of row in it."""
    if not _report:
        with fakes.scratch() as name:
            _report.update(measured(Path(name), "--only", "ping-pong,park-100k-p1,raw-saturation,raw-20k,raw-50k,"
                                                          "framework-50k"))
    return json.loads(json.dumps(_report))


def browse(html: str, width: int = 1400, suffix: str = "") -> tuple[str, str]:
    """(the document after the script has run, what the browser logged)"""
    if not BROWSER:
        raise tap.Skip("no chromium")
    with fakes.scratch() as name, tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        path = Path(name) / "index.html"
        path.write_text(html)
        done = subprocess.run([BROWSER, *FLAGS, f"--user-data-dir={profile}", f"--window-size={width},900", "--dump-dom",
                               f"file://{path}{suffix}"], capture_output=True, text=True, timeout=120)
    return done.stdout, done.stderr


def console_lines(log: str) -> list[str]:
    return [line for line in log.splitlines() if "CONSOLE" in line]


def drawn(html: str, width: int = 1400, suffix: str = "") -> str:
    dom, log = browse(html, width, suffix)
    tap.equal(console_lines(log), [])
    tap.check('data-errors="0"' in dom, "the script failed")
    return dom


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
        row for row in have["rows"] if row["id"] == r["workload"])["section"].startswith("tails")]
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
                  "Machine, versions, settings", "go 1.0", "GOGC", "not built: weft has no HTTP server yet"):
        tap.check(words in dom, words)
    tap.check(count('class="ratio"', dom) >= 8, "forest plots")
    tap.check(count('class="hiccup"', dom) >= 3, "hiccup lines")
    tap.check(count("<table", dom) >= 8, "tables")


def test_charts_fit_a_narrow_screen():
    dom = drawn(page.render(report()), 390)
    widths = [float(w) for w in re.findall(r'viewBox="0 0 ([\d.]+) ', dom)]
    tap.check(widths and max(widths) <= 500, widths)


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
