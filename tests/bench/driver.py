#!/usr/bin/env python3
"""The driver on a build of fakes: what it writes, what it says of what fails, how it ends."""
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import fakes
import tap

ROW = ("--quick", "--only", "ping-pong-p1", "--no-realtime")
KEYS = {"workload", "peer", "unit", "rounds", "median", "low", "high", "count", "p50", "p99", "p999", "max",
        "cpu_us_per_op", "valid", "why", "hiccups"}


def ran(*options, weft=True, faults=None, **popen):
    """(report, finished process) of one run on fakes."""
    with fakes.scratch() as name:
        root = Path(name)
        fakes.make_build(root, weft, faults)
        done = fakes.bench(root, *options, **popen)
        if not (root / "report" / "index.html").exists():
            raise AssertionError(f"status {done.returncode}, no report: {done.stderr}")
        return fakes.report(root), done


def test_the_report_has_the_shape_of_the_contract():
    report, done = ran("--quick", "--only", "ping-pong-p1,raw-50k", "--no-realtime")
    tap.equal(done.returncode, 0)
    tap.check({"machine", "settings", "peers", "results"} <= set(report))
    tap.equal([p["name"] for p in report["peers"]], ["weft", "go", "rust", "c"])
    tap.check(all("version" in p for p in report["peers"]))
    for result in report["results"]:
        tap.check(KEYS <= set(result), KEYS - set(result))
        tap.equal(set(result["hiccups"]), {"p99", "max"})
        tap.equal(len(result["rounds"]), 5)
    load = fakes.one(report["results"], workload="raw-50k", peer="go")
    tap.check(load["low"] <= load["median"] <= load["high"] and load["p50"] < load["p99"] <= load["max"], load)
    tap.check(load["cpu_us_per_op"] is not None and load["valid"] and len(load["curve"]) > 20)
    tap.check(load["hiccups"]["max"] > 0)


def test_ratios_are_paired_and_judged():
    report, done = ran(*ROW)
    ratio = fakes.one(report["ratios"], workload="ping-pong-p1", against="go", headline=True)
    tap.check(0.25 < ratio["low"] <= ratio["median"] <= ratio["high"] < 0.4, ratio)
    tap.equal((ratio["verdict"], ratio["method"], len(ratio["rounds"])), ("win", "paired", 5))
    tap.check("win" in done.stdout)
    aa = fakes.one(report["aa"], workload="ping-pong-p1")
    tap.check(aa["low"] <= aa["median"] <= aa["high"] and 0.85 < aa["median"] < 1.15, aa)


def test_what_two_rows_say_together_stands_below_them():
    report, done = ran("--only", "fork-join,wake-polling", "--no-realtime")
    tap.equal(sorted({q["name"] for q in report["quotients"]}), ["fork-join 1 core/2", "wake-polling/rtt"])
    speed_up = fakes.one(report["quotients"], name="fork-join 1 core/2", peer="weft")
    tap.check(0.8 < speed_up["low"] <= speed_up["median"] <= speed_up["high"] < 1.25, speed_up)
    line = next(line for line in done.stdout.splitlines() if line.startswith("  fork-join 1 core/2"))
    tap.equal(len(line.split()), 6)


def test_a_micro_row_may_be_about_a_distribution():
    report, done = ran("--quick", "--only", "sched-latency")
    row = fakes.one(report["rows"], id="sched-latency-p2")
    tap.equal((row["primary"], row["unit"], row["procs"]), ("p999", "us", 2))
    go = fakes.one(report["results"], workload="sched-latency-p2", peer="go")
    tap.check(go["p50"] < go["p99"] < go["p999"] < go["max"] and go["low"] <= go["median"] <= go["high"], go)
    tap.equal((go["count"], go["metrics"]["share"]["median"], len(go["curve"]) > 50), (600000, 60.5, True))
    tap.equal({r["metric"] for r in report["ratios"]}, {"p50", "p99", "p999"})
    ratio = fakes.one(report["ratios"], metric="p999", against="go", headline=True)
    tap.equal((ratio["method"], ratio["verdict"]), ("paired", "win"))
    tap.check("sched-latency p99.9 us" in done.stdout and "sched-latency share %" in done.stdout, done.stdout)


def test_a_percentile_of_a_micro_row_needs_its_samples_too():
    report, _ = ran("--quick", "--only", "sched-latency", faults={"go-micro": "few"})
    go = fakes.one(report["results"], workload="sched-latency-p2", peer="go")
    tap.equal((go["rounds"], go["p999"] is not None, go["p9999"]), ([None] * 5, True, None))
    tap.equal(fakes.one(report["ratios"], metric="p999", against="go", headline=True)["method"], "merged")


def test_a_histogram_that_lacks_samples_is_a_failure():
    faulty("sched-latency", "go-micro", "go", "torn", "has 120000 of 120001 samples")


def test_a_memory_row_has_time_and_memory_of_every_heap():
    report, done = ran("--only", "alloc-64,mark-tree,set-idle", "--no-realtime")
    tap.equal(done.returncode, 0)
    row = [r for r in report["results"] if r["workload"] == "alloc-64-p1"]
    tap.equal([(r["peer"], r["variant"]) for r in row], [("weft", ""), ("go", "gogc100"), ("c", "bump"), ("c", "mimalloc"), ("c", "boehm")])
    tap.check(all(r["rss_mib"] == 200 and 0 < r["median"] / 1e3 < r["cpu_us_per_op"] for r in row), row)
    tap.equal({r["metric"] for r in report["ratios"] if r["workload"] == "alloc-64-p1"}, {"ns", "rss"})
    tap.check(any(line.startswith("    in C: bump ") and " · boehm " in line for line in done.stdout.splitlines()), done.stdout)
    marked = fakes.one(report["ratios"], workload="mark-tree-p1", metric="gbs", against="go", headline=True)
    tap.check(marked["median"] > 2 and marked["verdict"] == "win", marked)
    stored = fakes.one(report["results"], workload="set-idle-p1", peer="go")
    tap.check(stored["metrics"]["extra"]["median"] < 0 < stored["median"], stored)
    tap.check(not [r for r in report["ratios"] if r["metric"] == "extra"])


def test_pushes_are_judged_by_what_all_rounds_merged_can_say():
    report, done = ran("--quick", "--only", "ring-push")
    go = fakes.one(report["results"], workload="ring-push-p1", peer="go")
    tap.check(go["p999"] < go["p9999"] < go["max"] and go["count"] == 1500000, go)
    tap.equal((go["rounds"], go["metrics"]["p9999"]["median"]), ([None] * 5, None))
    ratio = fakes.one(report["ratios"], metric="p9999", against="go", headline=True)
    tap.equal((ratio["method"], ratio["verdict"]), ("merged", "win"))
    tap.equal({r["peer"] for r in report["results"]}, {"weft", "go"})
    tap.check(0.999999 < go["curve"][-1][0] < 1, go["curve"][-1])
    tap.check("ring-push p99.99 us" in done.stdout and "ring-push max us" in done.stdout, done.stdout)


def test_the_curve_compares_at_equal_memory():
    report, done = ran("--only", "rss-curve")
    tap.equal([(e["against_variant"], e["rss_mib"]) for e in report["equal_rss"]],
              [("gogc50", 150), ("gogc100", 200), ("gogc200", 300), ("gogc400", 500)])
    tap.check(all(0.25 < e["ratio"] < 0.4 and e["ns"] < e["against_ns"] for e in report["equal_rss"]), report["equal_rss"])
    tap.equal(report["ratios"], [])
    tap.check("rss-curve GOGC 400 MiB" in done.stdout and "weft/go with the memory of Go: 150 MiB 0.3" in done.stdout, done.stdout)


def test_a_memory_row_without_its_memory_is_a_failure():
    report, done = ran("--quick", "--only", "alloc-64", faults={"go-memory": "bare"})
    go = fakes.one(report["results"], workload="alloc-64-p1", peer="go")
    tap.check("leaves out what a memory row has" in go["why"] and go["median"] is None, go)
    tap.equal((fakes.one(report["results"], workload="alloc-64-p1", peer="weft")["valid"], done.returncode), (True, 1))


def test_a_row_that_weft_loses_is_shown_as_lost():
    with fakes.scratch() as name:
        root = Path(name)
        fakes.make_build(root)
        fakes.person(root / "bench" / "weft-micro", "micro:5")
        done = fakes.bench(root, *ROW)
        tap.equal(done.returncode, 0)
        tap.check("LOST" in done.stdout and "2 LOST" in done.stdout, done.stdout)


def test_without_weft_the_others_are_compared():
    report, done = ran("--quick", "--only", "ping-pong-p1,raw-saturation", "--no-realtime", weft=False)
    tap.equal(report["subject"], "go")
    tap.check(fakes.one(report["ratios"], workload="ping-pong-p1", against="rust", headline=True)["verdict"] == "LOST")
    weft = fakes.one(report["results"], workload="ping-pong-p1", peer="weft")
    tap.equal((weft["median"], weft["valid"], weft["why"]), (None, False, "not built"))
    tap.check("go/rust" in done.stdout and "unbuilt" in done.stdout, done.stdout)
    tap.equal(done.returncode, 0)


def test_the_framework_class_waits_for_wefts_http_server():
    report, done = ran("--quick", "--only", "framework-saturation")
    weft = fakes.one(report["results"], workload="framework-saturation", peer="weft")
    tap.check("no HTTP server" in weft["why"] and weft["median"] is None)
    tap.check("no HTTP server" in done.stdout)
    tap.equal(done.returncode, 0)


def faulty(row, program, peer, fault, words):
    """The row of that peer says why, the others have figures, the status is 1."""
    report, done = ran("--quick", "--only", row, "--no-realtime", faults={program: fault})
    for result in [r for r in report["results"] if r["peer"] == peer]:
        tap.check(words in result["why"], result["why"])
        tap.equal((result["median"], result["valid"]), (None, False))
    others = [r for r in report["results"] if r["peer"] not in (peer, "weft") and r["program"] != program]
    tap.check(others and all(r["valid"] and r["median"] is not None for r in others), others)
    tap.check(words[:30] in " ".join(done.stdout.split()), done.stdout)
    tap.equal(done.returncode, 1)


def test_a_missing_peer_says_so():
    faulty("ping-pong-p1", "go-micro", "go", "missing: too old: 1.18, needs 1.19", "too old: 1.18, needs 1.19")


def test_a_peer_with_another_proof_of_work_says_so():
    faulty("ping-pong-p1", "rust-micro", "rust", "work", "does different work: sum=1, others sum=499500")


def test_a_server_with_another_body_says_so():
    faulty("raw-saturation", "tokio-raw", "rust", "body", "answers wrongly")


def test_a_framework_without_date_says_so():
    faulty("framework-saturation", "hyper", "rust", "date", "sends no date header")


def test_a_server_that_cannot_listen_says_so():
    faulty("raw-saturation", "go-raw", "go", "port", "address already in use")


def test_a_server_that_says_nothing_is_no_hang():
    faulty("raw-saturation", "go-raw", "go", "mute", "said nothing within 10 s")


def test_errors_under_load_are_a_failure():
    report, done = ran("--quick", "--only", "tcp-echo", faults={"weft": "errors"})
    tap.check(all("3 errors under load" in r["why"] for r in report["results"]))
    tap.equal(done.returncode, 1)


def test_what_the_generator_calls_invalid_has_no_latency():
    report, _ = ran("--quick", "--only", "raw-50k", "--no-realtime", faults={"weft": "late"})
    go = fakes.one(report["results"], workload="raw-50k", peer="go")
    tap.equal((go["valid"], go["median"], go["p99"], go["max"]), (False, None, None, None))
    tap.check("5 of 5 rounds invalid: late" in go["why"], go["why"])
    tap.check(not [r for r in report["ratios"] if r["metric"] == "p99"])


def test_a_peer_list_that_fails_leaves_rows_that_say_so():
    with fakes.scratch() as name:
        root = Path(name)
        fakes.make_build(root)
        (root / "peers.json").write_text("[]")
        done = fakes.bench(root, *ROW)
        tap.equal(done.returncode, 1)
        go = fakes.one(fakes.report(root)["results"], workload="ping-pong-p1", peer="go")
        tap.check(go["why"] and go["median"] is None)


def test_without_a_load_generator_the_micro_rows_go_on():
    with fakes.scratch() as name:
        root = Path(name)
        fakes.make_build(root)
        (root / "tuning" / "weft").unlink()
        done = fakes.bench(root, "--quick", "--only", "ping-pong-p1,raw-saturation")
        report = fakes.report(root)
        tap.check("no load generator" in fakes.one(report["rows"], id="raw-saturation")["why"])
        micro = fakes.one(report["results"], workload="ping-pong-p1", peer="weft")
        tap.check(micro["valid"] and micro["hiccups"] == {"p99": None, "max": None})
        tap.equal(done.returncode, 1)


def test_one_core_is_said_and_nothing_indefensible_printed():
    cpu = min(os.sched_getaffinity(0))
    report, done = ran("--quick", "--only", "raw-50k,ping-pong,ping-pong-p1",
                       preexec_fn=lambda: os.sched_setaffinity(0, [cpu]))
    go = fakes.one(report["results"], workload="raw-50k", peer="go")
    tap.equal((go["p50"], go["p99"], go["median"], go["valid"]), (None, None, None, False))
    tap.check("share the only core" in go["why"] and "one core only" in done.stdout)
    tap.check(fakes.one(report["results"], workload="ping-pong-p1", peer="weft")["median"] is not None)
    two = fakes.one(report["rows"], id="ping-pong-p2")
    tap.check("needs 2 cores" in two["why"], two)


def test_wrong_usage_is_one_line_and_status_2():
    with fakes.scratch() as name:
        root = Path(name)
        fakes.make_build(root)
        for options in (["--nonsense"], ["--only", "no-such-row"], ["--only", ""], ["--rounds", "4"], ["--rounds", "x"],
                        ["--rounds"], ["--quick", "--full"], ["--quick=1"], ["row"], ["--build", "/nonexistent"],
                        ["--peers", "/nonexistent"], ["--output", "/proc/version/x"], ["--a\nb"], ["--only", "a\nb"]):
            done = fakes.bench(root, *options)
            tap.equal((options, done.returncode, done.stderr.count("\n"), done.stdout), (options, 2, 1, ""))


def test_a_list_of_peers_that_is_none_is_refused():
    good = {"name": "go", "kind": "micro", "program": "go-micro", "argv": ["/bin/true"], "ok": True}
    with fakes.scratch() as name:
        root = Path(name)
        fakes.make_build(root)
        for text in (b"", b"\xff\xfe", b"{}", b"[[]]", *(json.dumps([{**good, **bad}]).encode() for bad in (
                {"name": 1}, {"kind": None}, {"ok": 1}, {"argv": 5}, {"argv": [1]}, {"argv": []}))):
            (root / "peers.json").write_bytes(text)
            done = fakes.bench(root, *ROW)
            tap.equal((text, done.returncode, done.stderr.count("\n"), done.stdout), (text, 2, 1, ""))


def test_a_report_that_cannot_be_written_is_one_line_and_status_1():
    with fakes.scratch() as name:
        root = Path(name)
        fakes.make_build(root)
        (root / "report/report.json").mkdir(parents=True)
        done = fakes.bench(root, *ROW)
        tap.equal((done.returncode, done.stdout), (1, ""))
        tap.check(done.stderr.splitlines()[-1].startswith("bench: ") and "Traceback" not in done.stderr, done.stderr)
        tap.check("Is a directory" in done.stderr, done.stderr)


def test_list_prints_rows_and_measures_nothing():
    with fakes.scratch() as name:
        root = Path(name)
        fakes.make_build(root)
        done = fakes.bench(root, "--list", "--quick")
        tap.check("raw-saturation " in done.stdout and "ping-pong-p1 " in done.stdout)
        tap.check(not (root / "report").exists())
        tap.equal(done.returncode, 0)


def test_an_unoptimised_build_refuses_to_print_a_number():
    with fakes.scratch() as name:
        root = Path(name)
        fakes.make_build(root)
        (root / "meson-info").mkdir()
        options = [{"name": "optimization", "value": "0"}, {"name": "b_sanitize", "value": "none"}]
        (root / "meson-info" / "intro-buildoptions.json").write_text(json.dumps(options))
        done = fakes.bench(root, *ROW)
        tap.equal((done.returncode, done.stdout), (1, ""))
        tap.check("without optimisation" in done.stderr)


def test_the_table_fits_a_hundred_columns_and_has_no_colour_in_a_pipe():
    _, done = ran("--quick", "--only", "micro,raw-50k", "--no-realtime", faults={"go-micro": "missing: " + "long " * 40})
    tap.check(max(len(line) for line in done.stdout.splitlines() if "index.html" not in line) <= 100, done.stdout)
    tap.check("\x1b" not in done.stdout)


def interrupted(signo):
    """Interrupts the driver in its second row; returns what it left."""
    with fakes.scratch() as name:
        root = Path(name)
        fakes.make_build(root)
        pids = root / "pids"
        child = subprocess.Popen(
            fakes.command(root, "--only", "ping-pong-p1,framework-saturation", "--no-realtime", "--quick"),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "FAKE_PIDS": str(pids)})
        first = ""
        while "[1/2]" not in first:
            first = child.stderr.readline()
            tap.check(first, "the driver ended early")
        time.sleep(0.5)
        child.send_signal(signo)
        out, err = child.communicate(timeout=30)
        until = time.monotonic() + 10
        started = [int(p) for p in pids.read_text().split()]
        while any(map(fakes.alive, started)) and time.monotonic() < until:
            time.sleep(0.02)
        left = [p for p in started if fakes.alive(p)]
        for pid in left:
            fakes.kill(pid)
        return child.returncode, out, fakes.report(root), left, (root / "report" / "index.html").exists()


def test_interrupted_it_keeps_the_finished_rows_and_leaves_no_process():
    for signo in (signal.SIGINT, signal.SIGTERM):
        status, out, report, left, page = interrupted(signo)
        tap.equal((status, left, page, report["interrupted"]), (1, [], True, True))
        tap.equal(len(report["rows"]), 1)
        tap.check("interrupted" in out)
        tap.check(all(r["median"] is not None for r in report["results"] if r["peer"] != "c"))


def test_interrupted_before_the_first_row_it_leaves_the_former_report():
    with fakes.scratch() as name:
        root = Path(name)
        fakes.make_build(root)
        fakes.bench(root, *ROW)
        before = fakes.report(root), (root / "report" / "index.html").read_text()
        fakes.make_build(root, faults={"weft-micro": "hang"})
        child = subprocess.Popen(fakes.command(root, *ROW), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while ", about" not in child.stderr.readline():
            tap.check(child.poll() is None, "the driver ended early")
        time.sleep(0.5)
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=30)
        tap.equal((child.returncode, out, err), (1, "", "bench: interrupted before anything was measured\n"))
        tap.equal((fakes.report(root), (root / "report" / "index.html").read_text()), before)


def test_killed_it_leaves_no_process_and_the_finished_rows():
    status, _, report, left, _ = interrupted(signal.SIGKILL)
    tap.equal((status, left, len(report["rows"])), (-9, [], 1))


def test_terminal_progress_is_one_line():
    import pty
    with fakes.scratch() as name:
        root = Path(name)
        fakes.make_build(root)
        master, slave = pty.openpty()
        child = subprocess.Popen(fakes.command(root, *ROW), stdout=subprocess.DEVNULL, stderr=slave)
        os.close(slave)
        seen = b""
        try:
            while part := os.read(master, 65536):
                seen += part
        except OSError:
            pass
        tap.equal(child.wait(), 0)
        os.close(master)
        tap.check(b"\r" in seen and b"round 5/5" in seen and seen.count(b"\n") <= 1, seen[-300:])


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)
    tap.main(globals())
