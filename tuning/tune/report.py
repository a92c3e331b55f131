"""What has been found, as one dictionary: --json prints it, the table and the page are drawn from it."""
import os
import shlex
import time

from suite import stats
from tune import choice, judge, measure
from tune.campaign import Campaign
from tune.setting import Setting


def _summaries(runs: list[dict]) -> dict[Setting, dict[str, dict]]:
    found: dict[Setting, dict[str, dict]] = {}
    for key in measure.ALL:
        for one, values in judge.table_of(runs, key).items():
            rounds = [values[r] for r in sorted(values)]
            found.setdefault(one, {})[key] = {**stats.summary(rounds), "rounds": rounds}
    return found


def _named(one: Setting | None) -> dict | None:
    return one and {"name": str(one), "gogc": one.gogc_word, "memlimit": one.environment()["WEFT_MEMLIMIT"],
                    "environment": one.words()}


def _entry(one: Setting, runs: list[dict], summaries: dict, judgement: judge.Judgement) -> dict:
    own = [run for run in runs if run["round"] > 0 and Setting(run["gogc"], run["limit"]) == one]
    failures = [run["why"] for run in own if "why" in run]
    return {**_named(one), "runs": len(own), "failed": len(failures), "why": failures[-1] if failures else "",
            "judged": one in judgement.judged, "frontier": one in judgement.frontier,
            "dominated_by": [str(other) for other in judgement.dominators.get(one, [])],
            "gctrace_unread": sum(run.get("unread", 0) for run in own), "measures": summaries.get(one, {})}


def _verdict(verdict: judge.Verdict) -> dict:
    return {"measure": verdict.measure.key, "name": verdict.measure.name, "better": verdict.measure.better,
            "p": round(verdict.p, 5), "differs": verdict.differs,
            "verdict": "differs" if verdict.differs else "too few runs to tell" if verdict.too_few else "no difference",
            "pairs": [[str(a), str(b), low, high] for (a, b), (low, high) in verdict.pairs.items() if a.key() < b.key()]}


def make(campaign: Campaign, interrupted: bool) -> dict:
    runs, options = campaign.journal.runs, campaign.options
    judgement = judge.judge(runs, judge.FINAL_LEVEL, options.seed)
    summaries = _summaries(runs)
    tried = campaign.settings or sorted({Setting(r["gogc"], r["limit"]) for r in runs if r["round"] > 0}, key=Setting.key)
    entries = [_entry(one, runs, summaries, judgement) for one in tried]
    failed = {one: entry["failed"] for one, entry in zip(tried, entries)}
    chosen = choice.choose(options.goals, judgement, summaries, failed)
    last = next((run["why"] for run in reversed(runs) if "why" in run), "")
    return {
        "command": options.command, "load": options.load, "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": {"cpus": len(os.sched_getaffinity(0)), "kernel": os.uname().release, "machine": os.uname().machine},
        "budget_s": options.budget, "spent_s": round(campaign.spent, 2), "rounds": campaign.rounds, "seed": options.seed,
        "resumed": campaign.journal.resumed, "interrupted": interrupted, "ended": campaign.ended,
        "runs": len(runs), "failed": sum("why" in run for run in runs), "last_failure": last,
        "left_out": [str(one) for one in campaign.left_out],
        "settings": entries, "verdicts": [_verdict(v) for v in judgement.verdicts],
        "frontier": [str(one) for one in judgement.frontier],
        "goals": [str(goal) for goal in options.goals],
        "recommended": _named(chosen.named), "nearest": _named(chosen.nearest), "why": chosen.why,
        "command_line": shlex.join(options.command)}


def all_failed(report: dict) -> bool:
    return report["runs"] == report["failed"]
