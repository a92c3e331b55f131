"""Which setting is run when, within the budget.

Round 0 looks: three settings once, for how long a run takes and what memory there is to limit. The grid is then thinned to
what the budget can give its rounds, without regard to figures. Rounds 1 to N run all of it, each round in an order of
its own. What is left of the budget goes to the settings that are not surely dominated by then: on the frontier or near it.
Each choice is written down, so that a second call makes the same.
"""
import random
from collections.abc import Callable

from tune import judge, options, setting, trial
from tune.journal import Journal
from tune.options import Options
from tune.setting import Setting

# Before a run: how many are done, how many planned, the seconds that all will take, the setting, its round, the rounds.
Tell = Callable[[int, int, float, Setting, int, int], None]
EXTENDED = 4  # times the rounds asked for is the most that a setting gets
LEAST = 3  # settings, however small the budget: with two there would be nothing between
ROUNDS_OF_TWO = 8  # fewer rounds of two settings cannot tell them apart: 2 orders a round, 2^7 > 3 measures / 3.5%


class Campaign:
    """Holds what has been run, and what came of the choices."""

    def __init__(self, chosen: Options, journal: Journal, tell: Tell) -> None:
        self.options, self.journal, self.tell = chosen, journal, tell
        self.command = trial.Command(chosen.command, chosen.load, chosen.timeout)
        self.spent = sum(run["seconds"] for run in journal.runs)
        self.settings: list[Setting] = []
        self.left_out: list[Setting] = []
        self.rounds = chosen.runs
        self.ended = ""  # why it ended before all was done
        self._have = {(run["round"], Setting(run["gogc"], run["limit"])) for run in journal.runs}

    def _mean_seconds(self, one: Setting | None = None) -> float:
        own = [run["seconds"] for run in self.journal.runs if one is None or Setting(run["gogc"], run["limit"]) == one]
        return sum(own) / len(own) if own else self._mean_seconds() if one and self.journal.runs else 0.0

    def _run(self, one: Setting, number: int, planned: int, rounds: int) -> bool:
        """False: the budget does not hold another one."""
        if (number, one) in self._have:
            return True
        if self.spent + self._mean_seconds(one) > self.options.budget:
            self.ended = f"the budget of {self.options.budget:g} s was used up"
            return False
        self.tell(len(self._have), planned, self.spent + (planned - len(self._have)) * self._mean_seconds(), one, number,
                  rounds)
        result = trial.run(self.command, one)
        self.spent += result["seconds"]
        self._have.add((number, one))
        self.journal.add_run({"round": number, "gogc": one.gogc, "limit": one.limit, **result})
        return True

    def _round(self, settings: list[Setting], number: int, rounds: int, planned: int) -> bool:
        order = list(settings)
        random.Random(f"{self.options.seed} {number}").shuffle(order)
        return all(self._run(one, number, planned, rounds) for one in order)

    def _decided(self, name: str, choose: Callable[[], object]) -> object:
        if name not in self.journal.decisions:
            self.journal.decide(name, choose())
        return self.journal.decisions[name]

    def _look(self) -> bool:
        finite = sorted(gogc for gogc in self.options.gogc if gogc is not None)
        open_ended = setting.grid(tuple(finite), self.options.limits or (None,))
        picked = open_ended or options.first_settings(self.options)
        some = list(dict.fromkeys([picked[0], picked[len(picked) // 2], picked[-1]]))
        return self._round(some, 0, 0, len(some) * (1 + self.rounds))

    def _grid(self) -> list[Setting]:
        if self.options.limits is not None:
            return setting.grid(self.options.gogc, self.options.limits)
        resident = [run["figures"]["rss"] for run in self.journal.runs if run["round"] == 0 and "figures" in run]
        limits = self._decided("limits", lambda: setting.derived_limits(resident)) if None in self.options.gogc else []
        finite = setting.grid(tuple(g for g in self.options.gogc if g is not None), (None,))
        return sorted([*finite, *(Setting(None, limit) for limit in limits)], key=Setting.key)

    def _affordable(self) -> int:
        left = self.options.budget - self.spent
        return max(LEAST, int(left / max(1e-9, self._mean_seconds() * self.rounds)))

    def _keep(self, name: str, among: list[Setting], choose: Callable[[], list[Setting]]) -> list[Setting]:
        keys = self._decided(name, lambda: [[one.gogc, one.limit] for one in choose()])
        chosen = {Setting(*key) for key in keys}
        return [one for one in among if one in chosen]

    def run(self) -> None:
        if not self._look():
            return
        grid = self._grid()
        self.settings = self._keep("grid", grid, lambda: setting.thin(grid, self._affordable()))
        self.left_out = [one for one in grid if one not in self.settings]
        if len(self.settings) == 2:
            self.rounds = max(self.rounds, ROUNDS_OF_TWO)
        planned = len([r for r, _ in self._have if r == 0]) + len(self.settings) * self.rounds
        for number in range(1, self.rounds + 1):
            if not self._round(self.settings, number, self.rounds, planned) or self._hopeless():
                return
        near = self._keep("near", self.settings, self._near)
        rounds = self.rounds * EXTENDED
        planned = len(self._have) + len(near) * (rounds - self.rounds)
        for number in range(self.rounds + 1, rounds + 1):
            if not self._round(near, number, rounds, planned):
                return

    def _hopeless(self) -> bool:
        if any("figures" in run for run in self.journal.runs):
            return False
        self.ended = "no run of the first round reported anything"
        return True

    def _near(self) -> list[Setting]:
        """Those too that have failed too often to be judged yet, but not always."""
        sure = judge.judge(self.journal.runs, judge.NARROWING_LEVEL, self.options.seed).dominators
        return [one for one in judge.table_of(self.journal.runs, "rss") if one not in sure]
