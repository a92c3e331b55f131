#!/usr/bin/env python3
"""The page that weft tune gc writes: well-formed, self-contained, and drawn by a real browser without an error."""
import json
import re
from html.parser import HTMLParser

import tuning
from tuning import FEW, Scratch

import browser
import tap
from suite import page as pages

SCRIPT = tuning.SOURCE / "tuning" / "tune" / "page.js"
WORDS = {"TITLE": "a title", "FIGURES": "nowhere", "METHOD": "none"}
VOID = {"meta", "link", "br", "img", "input", "hr"}
_made: dict = {}


def made() -> tuple[str, dict]:
    """One page and its report, for all tests."""
    if not _made:
        with Scratch() as scratch:
            file = scratch.folder / "tune.html"
            _made["report"] = tuning.tuned(scratch, *FEW, "--runs", "3", "--html", str(file), "--p999", "1ms")
            _made["html"] = file.read_text()
            tap.equal([one.name for one in scratch.folder.iterdir() if one != scratch.log], ["tune.html"])
    return _made["html"], json.loads(json.dumps(_made["report"]))


class Balanced(HTMLParser):
    """Every element that is opened is closed, in turn."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        tap.check(self.open and self.open[-1] == tag, f"</{tag}> within {self.open}")
        self.open.pop()


def balanced(html: str) -> list[str]:
    parser = Balanced()
    parser.feed(html)
    parser.close()
    tap.equal(parser.open, [])
    return parser.seen


def test_it_is_well_formed_and_holds_the_report():
    html, report = made()
    seen = balanced(html)
    tap.equal((html.startswith("<!doctype html>"), seen.count("html"), seen.count("body"), seen.count("script")), (True, 1, 1, 2))
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.S)[1]
    tap.equal(json.loads(data), report)


def test_nothing_is_fetched():
    html, _ = made()
    markup = re.sub(r'<script type="application/json".*?</script>', "", html.replace("http://www.w3.org/2000/svg", ""), flags=re.S)
    tap.equal(re.findall(r"(?:https?:)?//[a-z][\w.]+/|@import|url\(", markup), [])
    tap.check("default-src 'none'" in html, "the policy forbids it")


def test_every_setting_is_drawn_with_its_interval():
    html, report = made()
    settings = len(report["settings"])
    for width, suffix in ((1400, "#light"), (390, "#dark")):
        dom = browser.drawn(html, width, suffix)
        tap.equal(dom.count('class="dot"'), (3 + 2) * settings + 3)
        tap.equal(dom.count('class="interval"'), (3 + 2 * 2) * settings)
        tap.equal(dom.count('class="recommended"'), 5 + 1)
        tap.check("NaN" not in dom.split("<script")[0] and "Infinity" not in dom.split("<script")[0], "a coordinate is not a number")
        tap.check(f'data-theme="{suffix[1:]}"' in dom, "the theme of the fragment")
        for words in ("p99.9 against RSS", "WEFT_GOGC=200 WEFT_MEMLIMIT=off", "the only one that meets --p999 1ms", "dominated by"):
            tap.check(words in dom, words)
        widths = [float(w) for w in re.findall(r'viewBox="0 0 ([\d.]+) ', dom)]
        tap.check(widths and max(widths) <= max(500, width), widths)


def test_text_of_the_data_stays_text():
    _, report = made()
    report["settings"][0] |= {"failed": 1, "why": "</script><img src=x onerror=alert(1)><!--"}
    html = pages.render(report, SCRIPT, WORDS)
    balanced(html)
    dom = browser.drawn(html)
    tap.check("<img" not in dom and "&lt;img src=x" in dom, "it is shown as it was written")


def test_a_page_without_figures_is_drawn_too():
    _, report = made()
    for one in report["settings"]:
        one |= {"measures": {}, "frontier": False, "failed": one["runs"], "why": "broken"}
    report |= {"verdicts": [], "frontier": [], "recommended": None, "interrupted": True, "left_out": ["GOGC=25 limit=off"]}
    dom = browser.drawn(pages.render(report, SCRIPT, WORDS))
    tap.check("broken" in dom and "Interrupted" in dom and "Left out" in dom, "what is known is said")
    browser.drawn(pages.render(report | {"settings": []}, SCRIPT, WORDS))


if __name__ == "__main__":
    tap.main(globals())
