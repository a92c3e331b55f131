"""The state file: JSON lines, each appended and brought to the disk before the next run begins.

The first line says of what it is; then there is a line for each run, and one for each decision that looked at a clock, so
that a second call decides the same. A last line that was cut off, by a kill in the middle of the write, is taken away.
"""
import fcntl
import json
import os
from pathlib import Path

from suite import process

VERSION = 1
_MAY_BE_NONE = ("cpu_s", "cycles", "gc_cpu_s", "hold_us")


class Refused(Exception):
    """The file cannot be used, in one line."""


def _is_setting(gogc: object, limit: object) -> bool:
    return all(value is None or type(value) is int for value in (gogc, limit))


def _is_run(said: dict) -> bool:
    if not said.keys() >= {"round", "seconds", "gogc", "limit"} or not _is_setting(said["gogc"], said["limit"]):
        return False
    if type(said["round"]) is not int or not isinstance(said["seconds"], (int, float)):
        return False
    figures = said.get("figures")
    if figures is None:
        return isinstance(said.get("why"), str)
    return isinstance(figures, dict) and "rss" in figures and all(
        isinstance(value, (int, float)) and (value > 0 or key in _MAY_BE_NONE) for key, value in figures.items())


def _is_decision(said: dict) -> bool:
    value = said.get("value")
    if said.get("decision") == "limits":
        return isinstance(value, list) and all(type(limit) is int for limit in value)
    return said.get("decision") in ("grid", "near") and isinstance(value, list) and all(
        isinstance(key, list) and len(key) == 2 and _is_setting(*key) for key in value)


class Journal:
    """Without a path it is kept in memory alone."""

    def __init__(self, path: Path | None, subject: dict) -> None:
        self.path, self.fd = path, -1
        self.runs: list[dict] = []
        self.decisions: dict[str, object] = {}
        self.resumed = False
        if path:
            self._open(path, subject)

    def _open(self, path: Path, subject: dict) -> None:
        try:
            self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            lines = self._whole_lines(path)
        except BlockingIOError:
            raise Refused("another tuner is writing it") from None
        except OSError as error:
            raise Refused(error.strerror) from None
        if not lines:
            self._append({"weft_tune_state": VERSION, **subject})
            return
        self._compare(self._parsed(lines, 0), subject)
        for number in range(1, len(lines)):
            self._take(self._parsed(lines, number), number)
        self.resumed = bool(self.runs)

    def _whole_lines(self, path: Path) -> list[bytes]:
        text = path.read_bytes()
        whole = text[:text.rfind(b"\n") + 1]
        if whole != text:
            if not whole and not text.startswith(b'{"weft_tune_state"'):
                raise Refused("line 1 is not of a state of weft tune")
            os.ftruncate(self.fd, len(whole))
        return whole.splitlines()

    def _parsed(self, lines: list[bytes], number: int) -> dict:
        try:
            said = json.loads(lines[number])
            if isinstance(said, dict):
                return said
        except ValueError:
            pass
        raise Refused(f"line {number + 1} is not of a state of weft tune")

    def _compare(self, head: dict, subject: dict) -> None:
        if head.get("weft_tune_state") != VERSION:
            raise Refused(f"line 1 is not of a state of weft tune, version {VERSION}")
        for name, value in subject.items():
            if head.get(name) != value:
                what = "another command" if name == "command" else f"another --{name}"
                raise Refused(f"of {what}: {json.dumps(head.get(name), ensure_ascii=False)[:200]}")

    def _take(self, said: dict, number: int) -> None:
        if _is_run(said):
            self.runs.append(said)
        elif _is_decision(said):
            self.decisions[said["decision"]] = said["value"]
        else:
            raise Refused(f"line {number + 1} is not of a state of weft tune")

    def _append(self, said: dict) -> None:
        if self.fd < 0:
            return
        line = json.dumps(said, separators=(",", ":")).encode() + b"\n"
        try:
            written = os.write(self.fd, line)
            os.fsync(self.fd)
        except OSError as error:
            raise process.Failed(f"--state {self.path}: {error.strerror}") from None
        if written != len(line):
            raise process.Failed(f"--state {self.path}: no room for another run")

    def add_run(self, run: dict) -> None:
        self.runs.append(run)
        self._append(run)

    def decide(self, name: str, value: object) -> None:
        self.decisions[name] = value
        self._append({"decision": name, "value": value})
