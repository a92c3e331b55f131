"""A goal: a bound on one measure, which a setting meets with the bad end of its interval or not at all."""
from dataclasses import dataclass

from tune.measure import Measure, option_of


@dataclass(frozen=True)
class Goal:
    measure: Measure
    bound: float
    text: str  # the bound as the user wrote it

    def excess(self, summary: dict | None) -> float | None:
        """How many times the bound the bad end is, or, of what should be more, the bound the bad end; at most 1 is
        met. None: there is no interval."""
        worst = self.measure.worst(summary) if summary else None
        if worst is None:
            return None
        return worst / self.bound if self.measure.better == "lower" else self.bound / worst

    def __str__(self) -> str:
        return f"{option_of(self.measure)} {self.text}"
