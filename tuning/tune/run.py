#!/usr/bin/env python3
"""weft tune gc: runs a command over the collector's settings and names the one to use. docs/tuning.md."""
import signal
signal.signal(signal.SIGINT, signal.SIG_DFL)  # until main() takes it: no traceback while the modules are read
import json
import shlex
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[0:1] = [str(ROOT / "tuning"), str(ROOT / "bench")]
from suite import page, process, program
from suite.program import Interrupted, Wrong
from suite.progress import Progress
from tune import report, table
from tune.campaign import Campaign
from tune.journal import Journal, Refused
from tune.options import HELP, Options, parse
from tune.setting import Setting

SCRIPT = ROOT / "tuning" / "tune" / "page.js"
WORDS = {"TITLE": "weft tune gc", "FIGURES": "weft tune gc --json prints the figures", "METHOD": "docs/tuning.md"}


def subject(options: Options) -> dict:
    """What a state file is of: all that changes what a run is or which are run. Goals and the budget may change."""
    return {"command": options.command, "load": shlex.join(options.load), "gogc": list(options.gogc),
            "limits": options.limits and list(options.limits), "runs": options.runs, "timeout": options.timeout,
            "seed": options.seed}


def write_page(path: Path, found: dict) -> None:
    """Whole or not at all."""
    scratch = path.with_name(f".{path.name}.part")
    scratch.write_text(page.render(found, SCRIPT, WORDS))
    scratch.replace(path)


def check_writable(path: Path) -> None:
    if path.is_dir():
        raise Wrong(f"--html {path}: is a directory")
    scratch = path.with_name(f".{path.name}.part")
    try:
        scratch.write_text("")
        scratch.unlink()
    except OSError as error:
        raise Wrong(f"--html {path}: {error.strerror}") from None


def measure(options: Options, journal: Journal) -> tuple[Campaign, bool]:
    """The campaign as far as it came, and whether it was interrupted."""
    progress = Progress(0, options.budget)

    def tell(done: int, planned: int, estimate: float, one: Setting, number: int, rounds: int) -> None:
        progress.rows, progress.estimate_s = planned, min(estimate or options.budget, options.budget)
        progress.run(done + 1, str(one), number, rounds, "")

    campaign = Campaign(options, journal, tell)
    try:
        campaign.run()
        return campaign, False
    except Interrupted:
        return campaign, True
    finally:
        process.kill_all()
        progress.clear()


def run(argv: list[str]) -> int:
    options = parse(argv)
    if options.help:
        print(HELP, end="")
        return 0
    if options.html:
        check_writable(options.html)
    try:
        journal = Journal(options.state, subject(options))
    except Refused as refused:
        raise Wrong(f"--state {options.state}: {refused}") from None
    campaign, interrupted = measure(options, journal)
    found = report.make(campaign, interrupted)
    print(json.dumps(found, indent=1) if options.json else table.render(found))
    if options.html:
        write_page(options.html, found)
    if report.all_failed(found) and not interrupted:
        print(f"weft tune: all {found['runs']} runs failed: {found['last_failure']}", file=sys.stderr)
    return 1 if interrupted or report.all_failed(found) else 0


if __name__ == "__main__":
    sys.exit(program.main("weft tune", run))
