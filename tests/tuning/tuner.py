#!/usr/bin/env python3
"""weft tune gc, on a program with a planted optimum, on one with none, and on such as fail."""
import fcntl
import json
import os
import pty
import signal
import subprocess
import time
from pathlib import Path

import tuning
from tuning import FAKE, FEW, Scratch, named, tune, tuned, verdicts

import fakes
import tap
from tune import trial
from tune.setting import Setting

WEFT = Path(os.environ.get("WEFTTEST_BUILD", tuning.SOURCE / "build")) / "tuning" / "weft"


def test_the_planted_optimum_is_named():
    with Scratch() as scratch:
        report = tuned(scratch, "--runs", "3", "--p999", "1ms", "--rss", "50MiB")
        tap.equal(report["recommended"]["environment"], "WEFT_GOGC=200 WEFT_MEMLIMIT=off")
        tap.equal(report["why"], "the only one that meets --p999 1ms --rss 50MiB")
        tap.equal(verdicts(report), {key: "differs" for key in ("throughput", "rss", "p999_us")})
        tap.check("GOGC=200 limit=off" in named(report, "GOGC=800 limit=off")["dominated_by"], report["settings"])
        tap.equal(sorted(one["gogc"] for one in report["settings"]), sorted(["25", "50", "100", "200", "400", "800", *["off"] * 3]))
        tap.check(all(one["memlimit"] != "off" for one in report["settings"] if one["gogc"] == "off"), "never both off")
        near = named(report, "GOGC=200 limit=off")
        tail = near["measures"]["p999_us"]
        tap.check(600 < tail["low"] <= tail["median"] <= tail["high"] < 800, tail)
        tap.check(near["runs"] > named(report, "GOGC=800 limit=off")["runs"] == 3, "the rest of the budget is for the frontier")


def test_settings_runs_and_the_order_are_as_said():
    with Scratch() as scratch:
        report = tuned(scratch, "--gogc", "50,100,off", "--limits", "64MiB,off", "--runs", "3", WEFT_DEBUG="schedtrace=5,gctrace=0")
        runs = scratch.runs()
        tap.equal({(gogc, limit) for _, gogc, limit, _ in runs}, {("50", "off"), ("100", "off"), ("50", "67108864"), ("100", "67108864"),
                                                                  ("off", "67108864")})
        tap.equal({debug for *_, debug in runs}, {"schedtrace=5,gctrace=1"})
        tap.equal(len(runs), report["runs"])
        looked, rounds = 3, [[(gogc, limit) for _, gogc, limit, _ in runs[3 + 5 * i:8 + 5 * i]] for i in range(3)]
        tap.check(all(len(set(one)) == 5 for one in rounds), f"each round has each setting once, after {looked} runs that look")
        tap.check(len(set(map(tuple, rounds))) > 1, "no two rounds need have the same order")
    with Scratch() as scratch:
        again = tuned(scratch, "--gogc", "50,100,off", "--limits", "64MiB,off", "--runs", "3")
        tap.equal([run[1:3] for run in scratch.runs()][:18], [run[1:3] for run in runs][:18])
        tap.equal(again["seed"], report["seed"])


def test_the_terminal_has_table_plots_and_the_line():
    with Scratch() as scratch:
        done = tune(scratch, *FEW)
        lines = done.stdout.splitlines()
        tap.equal((done.returncode, done.stderr), (0, ""))
        tap.equal(lines[-1], "WEFT_GOGC=200 WEFT_MEMLIMIT=off")
        for words in ("p99.9, lower is better: differs", "throughput, higher is better: differs", "RSS, lower is better: differs",
                      "* on the frontier"):
            tap.check(words in done.stdout, words)
        plotted = [text for text in lines if "●" in text]
        tap.equal(len(plotted), 9)
        tap.check(all("[" in text and " – " in text for text in plotted), "each with its interval")
        tap.check(max(map(len, lines)) <= 100, "no line is wider than 100")


def test_no_difference_is_said():
    with Scratch() as scratch:
        done = tune(scratch, "--gogc", "50,100,200", "--limits", "off", fake=("none",))
        tap.equal(done.returncode, 0)
        tap.check("throughput, higher is better: no difference" in done.stdout, done.stdout)
        tap.check("p99.9, lower is better: no difference" in done.stdout, done.stdout)
        tap.check("no gctrace line came" in done.stdout and " none " in done.stdout, "that no cycle happened is said")


def test_the_collector_is_told_of():
    with Scratch() as scratch:
        one = named(tuned(scratch, *FEW, "--runs", "3"), "GOGC=50 limit=off")
        tap.equal((one["measures"]["cycles"]["median"], one["measures"]["hold_us"]["median"]), (5, 9.0))
        tap.check(abs(one["measures"]["gc_cpu_s"]["median"] - 5 * 700e-6) < 1e-9, one["measures"]["gc_cpu_s"])


def test_memory_and_time_are_the_childs():
    with Scratch() as scratch:
        report = tuned(scratch, *FEW, "--runs", "3")
        small, large = (named(report, f"GOGC={gogc} limit=off")["measures"] for gogc in (50, 800))
        tap.check(55 < (large["rss"]["median"] - small["rss"]["median"]) / 2**20 < 65, "of 72 and 12 MiB")
        tap.check(0 < large["cpu_s"]["median"] < 5, large["cpu_s"])


def test_a_goal_that_nobody_meets_says_how_near():
    with Scratch() as scratch:
        state = str(scratch.folder / "state")
        report = tuned(scratch, *FEW, "--runs", "3", "--p999", "0.1ms", "--throughput", "1000", "--state", state)
        tap.equal((report["recommended"], report["nearest"]["name"]), (None, "GOGC=200 limit=off"))
        tap.check("no setting meets --p999 0.1ms --throughput 1000; GOGC=200 limit=off comes nearest: p99.9 7" in report["why"]
                  and "off by a factor of 7." in report["why"], report["why"])
        before = len(scratch.runs())
        report = tuned(scratch, *FEW, "--runs", "3", "--max", "1s", "--state", state)
        tap.equal(report["why"], "--max 1s: no setting reports max")
        report = tuned(scratch, *FEW, "--runs", "3", "--throughput", "15000", "--state", state)
        tap.equal(report["recommended"]["name"], "GOGC=50 limit=off")
        tap.equal(len(scratch.runs()), before)


def test_what_weft_load_prints_is_read():
    with Scratch() as scratch:
        one = named(tuned(scratch, *FEW, "--runs", "3", fake=("json",)), "GOGC=200 limit=off")["measures"]
        tap.equal((one["p50_us"]["median"], one["max_us"]["median"]), (50.0, 3 * one["p999_us"]["median"]))
        tap.check(18000 < one["throughput"]["median"] < 21000, one["throughput"])


def test_a_server_is_loaded():
    with Scratch() as scratch:
        load = " ".join(FAKE)
        report = tuned(scratch, *FEW, "--runs", "3", "--load", f"{load} load {{url}}", fake=("serve",))
        one = named(report, "GOGC=200 limit=off")["measures"]
        tap.check(600 < one["p999_us"]["median"] < 800 and one["cycles"]["median"] == 2, one)
        tap.check(one["rss"]["median"] > 24 << 20, "the memory is the server's")
        tap.equal(report["failed"], 0)
        tap.check(not any(fakes.alive(int(run[0])) for run in scratch.runs()), "no server is left")


def why(scratch: Scratch, command: list[str], load: str = "", timeout: float = 60) -> str:
    """What is said of one run that fails; nothing of it may be left."""
    with scratch.as_ours():
        result = trial.run(trial.Command(command, load.split(), timeout), Setting(100, None))
    tap.check(not any(fakes.alive(int(run[0])) for run in scratch.runs()), "none is left")
    tap.check("figures" not in result, result)
    return result["why"]


def test_a_run_that_fails_says_why():
    for how, words in (("status", "ended with status 3: the heap is broken"), ("signal", "was killed by SIGSEGV"),
                       ("mute", "reports no figure"),
                       ("misspelt", "reports 'p999=12': no such figure; there are throughput, p50_us, p99_us, p999_us, max_us")):
        with Scratch() as scratch:
            said = why(scratch, [*FAKE, "fails", "all", how])
            tap.check(said.endswith(words), said)
    with Scratch() as scratch:
        said = why(scratch, [*FAKE, "fails", "all", "hang"], timeout=0.3)
        tap.check("did not end within 0.3 s" in said, said)


def test_a_server_or_load_that_fails_says_why():
    load = " ".join([*FAKE, "load {addr}"])
    for server, how, words in (("serve", load + " invalid", "the load was not valid: achieved 5/s of 10/s offered"),
                               ("serve", " ".join([*FAKE, "fails all status {addr}"]), "ended with status 3: the heap is broken"),
                               ("serve dies", load, "ended with status 1 under load: no memory left"),
                               ("none", load, "ended with status 0 instead of serving")):
        with Scratch() as scratch:
            said = why(scratch, [*FAKE, *server.split()], how)
            tap.check(said.endswith(words), said)
    with Scratch() as scratch:
        said = why(scratch, [*FAKE, "fails", "all", "hang"], load, timeout=0.3)
        tap.check("said no 'listening on ADDR:PORT' within 0.3 s" in said, said)


def test_a_setting_that_always_fails_is_left_out():
    with Scratch() as scratch:
        report = tuned(scratch, "--gogc", "50,100,200", "--limits", "off", "--runs", "3", fake=("fails", "GOGC=100", "status"))
        bad = named(report, "GOGC=100 limit=off")
        tap.equal((bad["runs"], bad["failed"], bad["judged"], bad["frontier"]), (3, 3, False, False))
        tap.check("the heap is broken" in bad["why"], bad["why"])
        tap.check(named(report, "GOGC=50 limit=off")["failed"] == 0 and report["recommended"], "the others are judged")


def test_one_that_fails_at_times_is_not_named():
    with Scratch() as scratch:
        done = tune(scratch, "--gogc", "50,100,200", "--limits", "off", "--runs", "4", fake=("fails", "once-in-7", "status"))
        tap.equal(done.returncode, 0)
        tap.check("runs failed: " in done.stdout and "the heap is broken" in done.stdout, done.stdout)
        tap.check(", and it is left out" not in done.stdout, done.stdout)


def test_all_failing_is_status_1():
    with Scratch() as scratch:
        done = tune(scratch, *FEW, fake=("fails", "all", "status"))
        tap.equal((done.returncode, len(scratch.runs())), (1, 6))
        tap.check("all 6 runs failed: " in done.stderr and done.stderr.endswith("the heap is broken\n"), done.stderr)


def slowed(state: Path, seconds: float) -> None:
    """The state of a tuner that has looked, each run having taken so long."""
    head, first = map(json.loads, state.read_text().splitlines()[:2])
    looked = [{**first, "round": 0, "gogc": gogc, "limit": None, "seconds": seconds} for gogc in (25, 200, 800)]
    state.write_text("".join(json.dumps(one) + "\n" for one in (head, *looked)))


def test_the_budget_bounds_what_is_run():
    with Scratch() as scratch:
        state = scratch.folder / "state"
        options = ("--runs", "3", "--state", str(state))
        tuned(scratch, *options, "--budget", "0.1")
        tap.equal(json.loads(state.read_text().splitlines()[1])["round"], 0)
        slowed(state, 1.0)
        before = len(scratch.runs())
        report = tuned(scratch, *options, "--budget", "3.5")
        tap.equal((len(scratch.runs()), report["runs"], report["ended"]), (before, 3, "the budget of 3.5 s was used up"))
        slowed(state, 1.0)
        report = tuned(scratch, *options, "--budget", "20")
        seconds = [run["seconds"] for run in map(json.loads, state.read_text().splitlines()) if "round" in run]
        tap.check(len(seconds) > 3 and sum(seconds) - max(seconds) <= 20, seconds)
        tap.equal((len(report["settings"]), len(report["left_out"])), (5, 2))
        tap.check("GOGC=100 limit=off" not in report["left_out"], "the default stays")


def started(scratch: Scratch, *options: str, fake: tuple[str, ...], **environment: str) -> subprocess.Popen:
    return subprocess.Popen(tuning.line(*options, fake=fake), env=scratch.environment(**environment), stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(condition) -> None:
    until = time.monotonic() + 60
    while not condition():
        tap.check(time.monotonic() < until, "it never happened")
        time.sleep(0.01)


def hanging(scratch: Scratch) -> list[int]:
    return [int(run[0]) for run in scratch.runs() if run[1] == "200"]


def test_an_interruption_ends_the_child_and_shows_what_there_is():
    for signo in (signal.SIGINT, signal.SIGTERM):
        with Scratch() as scratch:
            state = scratch.folder / "state"
            tuner = started(scratch, *FEW, "--state", str(state), fake=("fails", "GOGC=200", "hang"))
            wait_for(lambda: hanging(scratch))
            tuner.send_signal(signo)
            out, err = tuner.communicate(timeout=60)
            tap.equal((tuner.returncode, err), (1, ""))
            tap.check("interrupted: this is what there is" in out, out)
            tap.check(not any(map(fakes.alive, hanging(scratch))), "the child is gone")
            kept = [json.loads(text) for text in state.read_text().splitlines()]
            tap.equal(len(kept) - 1, len(scratch.runs()) - 1)


def ran(state: Path) -> list[tuple[int, int]]:
    return [(run["round"], run["gogc"]) for run in map(json.loads, state.read_text().splitlines()) if "round" in run]


def test_a_killed_tuner_is_resumed_where_it_was():
    with Scratch() as whole:
        tuned(whole, *FEW, "--runs", "3", "--state", str(whole.folder / "state"))
        order = ran(whole.folder / "state")
    with Scratch() as scratch:
        state, hang = scratch.folder / "state", scratch.folder / "hang"
        hang.touch()
        tuner = started(scratch, *FEW, "--runs", "3", "--state", str(state), fake=("optimum",), FAKE_HANG=str(hang))
        wait_for(lambda: len(scratch.runs()) == 8)
        tuner.kill()
        tuner.communicate(timeout=60)
        wait_for(lambda: not fakes.alive(int(scratch.runs()[7][0])))
        tap.equal(ran(state), order[:7])
        with open(state, "a") as file:
            file.write('{"round":1,"gogc":')
        report = tuned(scratch, *FEW, "--runs", "3", "--state", str(state))
        tap.check(report["resumed"], "it says so")
        tap.equal(ran(state), order)
        tap.equal(len(scratch.runs()), len(order) + 1)


def test_a_state_of_something_else_is_refused():
    with Scratch() as scratch:
        state = scratch.folder / "state"
        tuned(scratch, *FEW, "--runs", "3", "--state", str(state), fake=("none",))
        text = state.read_text()
        for options, fake, words in (((*FEW, "--runs", "3"), ("optimum",), "of another command: "),
                                     ((*FEW, "--runs", "4"), ("none",), "of another --runs: 3"),
                                     (("--runs", "3"), ("none",), "of another --gogc: ")):
            refused(scratch, words, "--state", str(state), *options, fake=fake)
        for spoilt in ("nonsense\n", text + "[]\n", text + '{"round":1}\n', text + '{"decision":"grid","value":3}\n', "12",
                       '{"weft_tune_state":9}\n', text + '{"round":1,"seconds":1,"gogc":"x","limit":null,"why":""}\n',
                       text.replace('"rss":', '"rss":-')):
            state.write_text(spoilt)
            refused(scratch, "is not of a state of weft tune", "--state", str(state), *FEW, "--runs", "3", fake=("none",))
            tap.equal(state.read_text(), spoilt)
        state.write_text(text)
        with open(state) as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            refused(scratch, "another tuner is writing it", "--state", str(state), *FEW, "--runs", "3", fake=("none",))


def refused(scratch: Scratch, words: str, *options: str, fake: tuple[str, ...] = ("none",)) -> None:
    before = len(scratch.runs())
    done = tune(scratch, *options, fake=fake)
    tap.equal((options, done.returncode, done.stderr.count("\n"), done.stdout), (options, 2, 1, ""))
    tap.check(words in done.stderr and done.stderr.startswith("weft tune: "), done.stderr)
    tap.equal(len(scratch.runs()), before)


def test_wrong_options_are_one_line_and_status_2():
    with Scratch() as scratch:
        for option, value, words in (
                ("--budget", "x", "--budget 'x'"), ("--budget", "0", "above 0"), ("--budget", "0.01", "from 0.1"),
                ("--timeout", "-1", "above 0"),
                ("--runs", "2", "from 3"), ("--runs", "1.5", "whole number"), ("--seed", "x", "whole number"), ("--gogc", "0", "from 1"),
                ("--gogc", "", "whole number"), ("--gogc", "100", "less than two settings"), ("--gogc", "off", "GOGC off wants a limit"),
                ("--limits", "5XB", "unknown unit 'XB'"), ("--limits", "", "want a size"), ("--limits", "99999999999TiB", "8388607TiB"),
                ("--p999", "1", "want a duration"), ("--p99", "1h", "unknown unit 'h'"), ("--p50", "0ms", "want a duration"),
                ("--max", "-1ms", "want a duration"), ("--rss", "5MB", "unknown unit 'MB'"), ("--throughput", "0", "above 0"),
                ("--load", "true", "neither {url} nor {addr}"), ("--load", "'{url}", "split into words"),
                ("--load", "/none/such {url}", "not found"),
                ("--state", "/nonexistent/x", "No such file"), ("--html", "/nonexistent/x", "No such file"), ("--html", "/", "directory"),
                ("--state", "", "want a file"), ("--state", "/", "directory")):
            refused(scratch, words, option, value)
        refused(scratch, "unknown option '--nonsense'", "--nonsense")
        refused(scratch, "unknown option '--a?b'", "--a\nb")
        refused(scratch, "unexpected 'stray'", "stray")
        refused(scratch, "option '--json' takes no value", "--json=1")
        refused(scratch, "option '--budget' needs a value", "--budget")


def test_a_terminal_sees_how_far_it_is():
    with Scratch() as scratch:
        ours, theirs = pty.openpty()
        tuner = subprocess.Popen(tuning.line(*FEW, "--runs", "3", fake=("none",)), env=scratch.environment(), stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL, stderr=theirs)
        os.close(theirs)
        seen = b""
        while part := _read(ours):
            seen += part
        tap.equal(tuner.wait(timeout=60), 0)
        os.close(ours)
        tap.check(b"[1/12] GOGC=" in seen and b"round 3/3" in seen and seen.endswith(b"\r\x1b[K"), seen[-300:])


def _read(terminal: int) -> bytes:
    """Nothing when the other side has closed it."""
    try:
        return os.read(terminal, 4096)
    except OSError:
        return b""


def test_the_command_weft_tune_starts_it():
    for arguments, status, words in (((), 2, "tune what?"), (("heap",), 2, "no 'heap' to tune"), (("gc",), 2, "no command"),
                                     (("gc", "--"), 2, "no command"),
                                     (("gc", "--", "/none/such"), 2, "'/none/such': not found"), (("gc", "--", "/"), 2, "'/': not found"),
                                     (("--help",), 0, "usage: weft tune gc"), (("gc", "--json", "--help"), 0, "usage: weft tune gc")):
        done = subprocess.run([WEFT, "tune", *arguments], capture_output=True, text=True, timeout=60)
        said = done.stderr if status else done.stdout
        tap.equal((arguments, done.returncode, words in said, done.stderr.count("\n")), (arguments, status, True, bool(status)))


if __name__ == "__main__":
    tap.main(globals())
