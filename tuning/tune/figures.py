"""What a command says of itself: lines `weft-tune: throughput=12345 p999_us=800`, or the JSON of `weft load --json`."""
import json
import math
import re

from suite import process
from tune import measure

_LINE = re.compile(r"^\s*weft-tune:(.*)$", re.M)
_KEYS = tuple(one.key for one in measure.REPORTED)


def _of_line(words: str) -> dict[str, float]:
    """A misspelt name is a failure: its figure would be missed without a word."""
    found = {}
    for word in words.split():
        key, _, text = word.partition("=")
        if key not in _KEYS:
            raise process.Failed(f"reports '{word[:60]}': no such figure; there are {', '.join(_KEYS)}")
        try:
            found[key] = float(text)
        except ValueError:
            found[key] = math.nan
        if not 0 < found[key] < math.inf:
            raise process.Failed(f"reports '{word[:60]}': not a number above 0")
    if not found:
        raise process.Failed("reports a line weft-tune: without a figure")
    return found


def _of_load(said: dict) -> dict[str, float]:
    """A percentile that too few samples support is null there, and no figure here."""
    if not said.get("valid", True):
        raise process.Failed(f"the load was not valid: {said.get('why') or 'no reason given'}")
    latency = said.get("latency_us") or {}
    found = {"throughput": said.get("achieved_rate"),
             **{key: latency.get(key.removesuffix("_us")) for key in _KEYS if key.endswith("_us")}}
    return {key: float(value) for key, value in found.items()
            if isinstance(value, (int, float)) and 0 < value < math.inf}


def _objects(text: str):
    """The JSON objects that begin a line, whatever stands around them."""
    decoder, at = json.JSONDecoder(), 0
    while m := re.compile(r"^[ \t]*(?=\{)", re.M).search(text, at):
        try:
            said, at = decoder.raw_decode(text, m.end())
        except ValueError:
            at = m.end() + 1
            continue
        if isinstance(said, dict):
            yield said


def read(stdout: str, stderr: list[str]) -> dict[str, float]:
    """stderr: its lines that are reports. Where a figure is reported more than once, the last one counts."""
    found: dict[str, float] = {}
    for said in _objects(stdout):
        if "latency_us" in said and "achieved_rate" in said:
            found |= _of_load(said)
    for m in [*_LINE.finditer(stdout), *map(_LINE.search, stderr)]:
        found |= _of_line(m[1])
    return found


def is_report(line: str) -> bool:
    return bool(_LINE.search(line))
