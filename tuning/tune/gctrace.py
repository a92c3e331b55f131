"""The collector's lines on stderr, one a cycle: `gctrace: cycle=3 at_ms=1234 why=heap cpu_us=2345 hold_us=7 ...`."""
from dataclasses import dataclass

_PREFIX = "gctrace: "


def is_line(line: str) -> bool:
    return line.startswith(_PREFIX)


@dataclass
class Trace:
    """The sum of a run. What is not told of a cycle adds nothing; unknown words are skipped."""
    cycles: int = 0
    cpu_us: float = 0.0
    hold_us: float = 0.0  # the longest
    unread: int = 0  # lines that were torn, by others that write to the same stderr

    def add(self, line: str) -> None:
        words = dict(word.partition("=")[::2] for word in line.removeprefix(_PREFIX).split())
        try:
            cpu, hold = (float(words.get(key, 0)) for key in ("cpu_us", "hold_us"))
        except ValueError:
            self.unread += 1
            return
        if "cycle" not in words:
            self.unread += 1
            return
        self.cycles += 1
        self.cpu_us += cpu
        self.hold_us = max(self.hold_us, hold)

    def figures(self) -> dict[str, float]:
        return {"cycles": self.cycles, "gc_cpu_s": self.cpu_us / 1e6, **({"hold_us": self.hold_us} if self.cycles else {})}


def switched_on(debug: str) -> str:
    """WEFT_DEBUG with gctrace=1, and what else the user has set."""
    words = [word for word in debug.split(",") if word and word.partition("=")[0] != "gctrace"]
    return ",".join([*words, "gctrace=1"])
