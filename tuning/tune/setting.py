"""A setting of the collector: WEFT_GOGC and WEFT_MEMLIMIT."""
import math
from dataclasses import dataclass

from tune import quantity

GRID = (25, 50, 100, 200, 400, 800, None)
GOGC_MAX = 100_000


@dataclass(frozen=True)
class Setting:
    gogc: int | None  # None: off
    limit: int | None  # bytes; None: off

    def __str__(self) -> str:
        limit = "off" if self.limit is None else quantity.show_size(self.limit).replace(" ", "")
        return f"GOGC={self.gogc_word} limit={limit}"

    @property
    def gogc_word(self) -> str:
        return "off" if self.gogc is None else str(self.gogc)

    def environment(self) -> dict[str, str]:
        return {"WEFT_GOGC": self.gogc_word, "WEFT_MEMLIMIT": "off" if self.limit is None else str(self.limit)}

    def words(self) -> str:
        """As a shell takes it."""
        return " ".join(f"{name}={value}" for name, value in self.environment().items())

    def key(self) -> tuple[float, float]:
        """The order of tables: by limit, none last; within one by GOGC, off last."""
        return (math.inf if self.limit is None else self.limit), (math.inf if self.gogc is None else self.gogc)


DEFAULT = Setting(100, None)


def grid(gogcs: tuple[int | None, ...], limits: tuple[int | None, ...]) -> list[Setting]:
    """All pairs, but for both off: nothing would ever be collected."""
    pairs = [Setting(gogc, limit) for limit in limits for gogc in gogcs if gogc is not None or limit is not None]
    return sorted(dict.fromkeys(pairs), key=Setting.key)


def _importance(one: Setting, gogcs: list[float]) -> tuple:
    """The default comes first, then what halves the largest gaps: every second GOGC, the odd ones last."""
    order = [g for g in (100, 400, 50, 800, 200, 25) if g in gogcs] + [g for g in gogcs if g not in GRID]
    at = order.index(one.gogc) + 1 if one.gogc is not None else 2.5
    return one != DEFAULT, at, one.key()


def thin(settings: list[Setting], most: int) -> list[Setting]:
    """At most that many, chosen without regard to what has been measured: a choice that looks at the figures would
    have to be paid for in the statistics."""
    gogcs = sorted({one.gogc for one in settings if one.gogc is not None})
    return sorted(sorted(settings, key=lambda one: _importance(one, gogcs))[:most], key=Setting.key)


def derived_limits(resident: list[float]) -> list[int]:
    """Three limits that divide the span of resident sizes seen, in equal ratios; one above them when the span is too
    small to be divided: then no setting has much to decide."""
    if not resident:
        return []
    low, high = min(resident), max(resident)
    if high < 1.2 * low:
        return [_round_up(1.25 * high)]
    return list(dict.fromkeys(_round_up(low * (high / low) ** (i / 4)) for i in (1, 2, 3)))


def _round_up(size: float) -> int:
    """To whole MiB, with three digits that count."""
    step = 1 << 20
    while size / step >= 1000:
        step *= 10
    return math.ceil(size / step) * step
