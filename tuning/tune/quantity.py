"""Sizes and durations, as a user writes them and as they are shown. What cannot be read is a ValueError: what is wanted."""
import re

_SIZES = {"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_MICROSECONDS = {"ns": 1e-3, "us": 1.0, "µs": 1.0, "ms": 1e3, "s": 1e6}


def _split(text: str, units: dict, example: str) -> tuple[float, str]:
    m = re.fullmatch(r"(\d{1,15}(?:\.\d{1,9})?) ?([^\d\s.]*)", text, re.ASCII)
    if not m or not float(m[1]):
        raise ValueError(f"want {example}")
    if m[2] and m[2] not in units:
        raise ValueError(f"unknown unit '{m[2]}'; there are {', '.join(unit for unit in units if unit)}")
    if m[2] not in units:
        raise ValueError(f"want {example}")
    return float(m[1]), m[2]


def size(text: str) -> int:
    """Bytes, at least one: a number alone, or with B, KiB, MiB, GiB, TiB."""
    value, unit = _split(text, _SIZES, "a size, as in 512MiB")
    if value * _SIZES[unit] < 1 or value * _SIZES[unit] >= 1 << 63:
        raise ValueError("want a size from 1 byte to 8388607TiB")
    return int(value * _SIZES[unit])


def duration(text: str) -> float:
    """Microseconds. A unit is wanted: 5 of what?"""
    value, unit = _split(text, _MICROSECONDS, "a duration, as in 1ms")
    return value * _MICROSECONDS[unit]


def count(text: str) -> float:
    if not re.fullmatch(r"\d{1,15}(\.\d{1,9})?", text, re.ASCII) or not float(text):
        raise ValueError("want a number above 0")
    return float(text)


def _digits(value: float) -> str:
    """Three that count, or all before the point."""
    if value >= 99.95 or value == int(value) and value >= 10:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"


def show_size(value: float) -> str:
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if value >= 0.9995 * _SIZES[unit]:
            return f"{_digits(value / _SIZES[unit])} {unit}"
    return f"{value:.0f} B"


def show_duration(microseconds: float) -> str:
    if microseconds >= 999500:
        return f"{_digits(microseconds / 1e6)} s"
    return f"{_digits(microseconds / 1e3)} ms" if microseconds >= 999.5 else f"{_digits(microseconds)} µs"


def show_count(value: float) -> str:
    for letter, unit in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= max(unit, 1e4):
            return f"{_digits(value / unit)}{letter}"
    return _digits(value)
