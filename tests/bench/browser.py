"""A page in a real browser, headless: what it becomes when its script has run, and what the browser says of it."""
import shutil
import subprocess
import tempfile
from pathlib import Path

import tap

BROWSER = next((p for n in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(n))), None)
FLAGS = ("--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
         "--disable-component-update --disable-sync --enable-logging=stderr --virtual-time-budget=4000").split()


def run(path: Path, html: str, *flags: str, suffix: str = "") -> tuple[str, str]:
    """(the document after the script has run, what the browser logged)"""
    if not BROWSER:
        raise tap.Skip("no chromium")
    path.write_text(html)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        done = subprocess.run([BROWSER, *FLAGS, *flags, f"--user-data-dir={profile}", "--dump-dom", f"file://{path}{suffix}"],
                              capture_output=True, text=True, timeout=120)
    return done.stdout, done.stderr


def browse(html: str, width: int = 1400, suffix: str = "") -> tuple[str, str]:
    with tempfile.TemporaryDirectory(prefix="weft-page-test-") as name:
        return run(Path(name) / "index.html", html, f"--window-size={width},900", suffix=suffix)


def console_lines(log: str) -> list[str]:
    return [line for line in log.splitlines() if "CONSOLE" in line]


def drawn(html: str, width: int = 1400, suffix: str = "") -> str:
    dom, log = browse(html, width, suffix)
    tap.equal(console_lines(log), [])
    tap.check('data-errors="0"' in dom, "the script failed")
    return dom
