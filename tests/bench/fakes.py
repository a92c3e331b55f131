"""A build directory of fakes, and the driver run on it."""
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent.parent
FAKE = Path(__file__).resolve().parent / "fake_program.py"
sys.path.insert(0, str(SOURCE / "bench"))


def scratch():
    return tempfile.TemporaryDirectory(prefix="weft-report-test-")


def person(path: Path, name: str, fault: str = "") -> None:
    """An executable at `path` that behaves as `name`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{f'export FAKE_FAULT={fault}' if fault else ':'}\n"
                    f'exec "{sys.executable}" -S -E "{FAKE}" {name} "$@"\n')
    path.chmod(0o755)


def make_build(root: Path, weft: bool = True, faults: dict[str, str] | None = None) -> list[dict]:
    """faults: program -> fault, or "missing: WHY". Returns the list of peers, also written to peers.json."""
    faults = faults or {}
    person(root / "tuning" / "weft", "weft", faults.get("weft", ""))
    if weft:
        person(root / "bench" / "weft-micro", "micro:0.5", faults.get("weft-micro", ""))
        person(root / "bench" / "weft-memory", "memory:0.5", faults.get("weft-memory", ""))
        person(root / "bench" / "weft-server", "server:weft", faults.get("weft-server", ""))
    entries = []
    for name, program, who in (("go", "go-micro", "micro:1.6"), ("rust", "rust-micro", "micro:1"),
                               ("c", "c-floor", "micro:0.1"), ("go", "go-memory", "memory:1.6"), ("rust", "rust-memory", "memory:1"),
                               ("c", "c-bump", "memory:0.1"), ("c", "c-mimalloc", "memory:0.8"), ("c", "c-boehm", "memory:3"),
                               ("go", "go-raw", "server:go-raw"), ("go", "go-http", "server:go-http"),
                               ("rust", "tokio-raw", "server:tokio-raw"), ("rust", "hyper", "server:hyper"),
                               ("c", "c-epoll", "server:c-epoll"), ("c", "c-epoll-spin", "server:c-epoll-spin"),
                               ("c", "c-uring", "server:c-uring")):
        path = root / "bench" / "peers" / program
        fault = faults.get(program, "")
        missing = fault.removeprefix("missing: ") if fault.startswith("missing: ") else ""
        person(path, who, "" if missing else fault)
        entries.append({"name": name, "kind": who.split(":")[0], "program": program, "argv": [str(path)],
                        "ok": not missing, "why": missing, "version": f"{name} 1.0", "note": "a fake"})
    (root / "peers.json").write_text(json.dumps(entries))
    return entries


def command(root: Path, *options: str) -> list[str]:
    return [sys.executable, str(SOURCE / "bench" / "run.py"), "--build", str(root), "--peers",
            str(root / "peers.json"), "--output", str(root / "report"), *options]


def bench(root: Path, *options: str, timeout: float = 120, **popen) -> subprocess.CompletedProcess:
    return subprocess.run(command(root, *options), capture_output=True, text=True, timeout=timeout, **popen)


def report(root: Path) -> dict:
    return json.loads((root / "report" / "report.json").read_text())


def one(listed: list[dict], **wanted) -> dict:
    """The only entry with these values."""
    found = [e for e in listed if all(e[k] == v for k, v in wanted.items())]
    if len(found) != 1:
        raise AssertionError(f"{len(found)} entries with {wanted}")
    return found[0]


def alive(pid: int) -> bool:
    """A zombie that nobody collects is not alive."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
