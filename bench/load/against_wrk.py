#!/usr/bin/env python3
"""What a request costs the load generator: `weft load` beside wrk, closed loop at saturation.

usage: bench/load/against_wrk.py URL [--weft PROGRAM] [--rounds N] [--seconds S] [--connections N] [--cpu N]

Start the server first, on another CPU than --cpu (default 1). Rounds are interleaved; the figure is the
whole process's user and system time, set-up included, over the requests that were answered.
"""
import argparse
import json
import os
import re
import statistics
import subprocess
from pathlib import Path


def cost(command, cpu, requests_in):
    """Runs a command bound to a CPU. Returns µs of user and of system time per request, and requests."""
    out = subprocess.Popen(["taskset", "-c", str(cpu), *command], stdout=subprocess.PIPE, text=True)
    text = out.stdout.read()
    _, status, usage = os.wait4(out.pid, 0)
    out.returncode = os.waitstatus_to_exitcode(status)
    if out.returncode:
        raise SystemExit(f"{command[0]} failed with status {out.returncode}")
    requests = requests_in(text)
    return usage.ru_utime * 1e6 / requests, usage.ru_stime * 1e6 / requests, requests


def main():
    here = Path(__file__).resolve().parents[2]
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("url")
    p.add_argument("--weft", default=str(here / "build/tuning/weft"))
    p.add_argument("--rounds", type=int, default=7)
    p.add_argument("--seconds", type=int, default=4)
    p.add_argument("--connections", type=int, default=64)
    p.add_argument("--cpu", type=int, default=1)
    a = p.parse_args()
    wrk = ["wrk", "-t1", f"-c{a.connections}", f"-d{a.seconds}", a.url]
    weft = [a.weft, "load", a.url, "--closed", "--json", "--warmup", "0", "--duration", str(a.seconds),
            "--connections", str(a.connections)]
    ways = {
        "wrk": (wrk, lambda text: int(re.search(r"(\d+) requests in", text)[1])),
        "weft load": (weft, lambda text: json.loads(text)["answered"]),
    }
    totals = {name: [] for name in ways}
    print(f"{'round':>5} {'':10} {'user':>7} {'system':>7} {'total':>7}  µs per request, {'requests/s':>10}")
    for i in range(a.rounds):
        for name, (command, requests_in) in ways.items():
            user, system, n = cost(command, a.cpu, requests_in)
            totals[name].append(user + system)
            print(f"{i + 1:5} {name:10} {user:7.2f} {system:7.2f} {user + system:7.2f}"
                  f"                  {n / a.seconds:10.0f}", flush=True)
    ratios = [mine / theirs for mine, theirs in zip(totals["weft load"], totals["wrk"])]
    print(f"median: wrk {statistics.median(totals['wrk']):.2f}, weft load "
          f"{statistics.median(totals['weft load']):.2f} µs; ratio {statistics.median(ratios):.2f} "
          f"({min(ratios):.2f} to {max(ratios):.2f} over the rounds)")


main()
