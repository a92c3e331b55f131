"""index.html: the template, its style and its script put together with the report, in one file."""
import json
from pathlib import Path

_ASSETS = Path(__file__).resolve().parent / "page"


def render(report: dict) -> str:
    """Self-contained: no reference leads out of the file. `<` is escaped so that no text of the data can end
    the element that holds it."""
    html = (_ASSETS / "page.html").read_text()
    data = json.dumps(report, separators=(",", ":")).replace("<", "\\u003c").replace("\u2028", "\\u2028")
    for mark, text in (("/*STYLE*/", (_ASSETS / "page.css").read_text()),
                       ("/*SCRIPT*/", (_ASSETS / "page.js").read_text()), ("/*DATA*/", data)):
        before, after = html.split(mark, 1)
        html = before + text + after
    return html
