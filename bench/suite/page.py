"""index.html: the template, the style and the scripts put together with the report, in one file."""
import json
from pathlib import Path

ASSETS = Path(__file__).resolve().parent / "page"


BENCH = {"TITLE": "weft bench", "FIGURES": "the figures are in report.json beside it", "METHOD": "docs/bench-method.md"}


def render(report: dict, script: Path = ASSETS / "page.js", words: dict[str, str] = BENCH) -> str:
    """script: what draws this report, with what draw.js has. Self-contained: no reference leads out of the file. `<` is
    escaped so that no text of the data can end the element that holds it."""
    html = (ASSETS / "page.html").read_text()
    data = json.dumps(report, separators=(",", ":")).replace("<", "\\u003c").replace("\u2028", "\\u2028")
    parts = {"STYLE": (ASSETS / "page.css").read_text(), **words,
             "SCRIPT": (ASSETS / "draw.js").read_text() + script.read_text(), "DATA": data}
    for mark, text in parts.items():
        before, after = html.split(f"/*{mark}*/", 1)
        html = before + text + after
    return html
