"""index.html: the template, the style and the scripts put together with the report, in one file."""
import json
from pathlib import Path

ASSETS = Path(__file__).resolve().parent / "page"


def render(report: dict, own: Path = ASSETS) -> str:
    """own: the folder of the page's template and script; what all pages share is in ASSETS. Self-contained: no
    reference leads out of the file. `<` is escaped so that no text of the data can end the element that holds it."""
    html = (own / "page.html").read_text()
    data = json.dumps(report, separators=(",", ":")).replace("<", "\\u003c").replace("\u2028", "\\u2028")
    script = (ASSETS / "draw.js").read_text() + (own / "page.js").read_text()
    for mark, text in (("/*STYLE*/", (ASSETS / "page.css").read_text()), ("/*SCRIPT*/", script), ("/*DATA*/", data)):
        before, after = html.split(mark, 1)
        html = before + text + after
    return html
