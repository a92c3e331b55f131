"""What is measured of a run: the names of the figures, which way is better, how they are shown."""
from collections.abc import Callable
from dataclasses import dataclass

from tune import quantity


@dataclass(frozen=True)
class Measure:
    key: str
    name: str
    better: str  # lower or higher
    show: Callable[[float], str]
    read: Callable[[str], float] | None = None  # of a goal; None: not one

    @property
    def sign(self) -> int:
        """Times this, more is better."""
        return 1 if self.better == "higher" else -1

    def worst(self, summary: dict) -> float | None:
        """The bad end of its interval."""
        return summary["low" if self.better == "higher" else "high"]


def _per_second(value: float) -> str:
    return quantity.show_count(value) + "/s"


def _seconds(value: float) -> str:
    return quantity.show_duration(value * 1e6)


# What a command reports, in the order in which it is shown; then what is seen from outside; then of gctrace.
REPORTED = (Measure("throughput", "throughput", "higher", _per_second, quantity.count),
            *(Measure(key, name, "lower", quantity.show_duration, quantity.duration)
              for key, name in (("p50_us", "p50"), ("p99_us", "p99"), ("p999_us", "p99.9"), ("max_us", "max"))))
SEEN = (Measure("rss", "RSS", "lower", quantity.show_size, quantity.size),
        Measure("cpu_s", "CPU", "lower", _seconds))
COLLECTOR = (Measure("cycles", "cycles", "lower", "{:g}".format),
             Measure("gc_cpu_s", "GC CPU", "lower", _seconds),
             Measure("hold_us", "longest hold", "lower", quantity.show_duration))
ALL = {one.key: one for one in (*REPORTED, *SEEN, *COLLECTOR)}
TAILS = ("p999_us", "p99_us", "p50_us", "max_us")  # the first that is reported is drawn and judged


def option_of(one: Measure) -> str:
    return "--" + one.key.removesuffix("_us")
