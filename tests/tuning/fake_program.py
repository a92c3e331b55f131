#!/usr/bin/env python3
"""Stands in for a program of weft's whose collector is tuned: a model of throughput, memory and tail over WEFT_GOGC and
WEFT_MEMLIMIT, with noise. It does not sleep, and its memory is real. It imports what it must: it is started very often.

usage: fake_program.py MODEL [PARAMETER ...]

  optimum          at GOGC=200 the tail is least and doubles with each factor of two beside it, and throughput is highest;
                   memory rises with GOGC
  none             nothing depends on the settings
  json             as optimum, said as `weft load --json` says it
  fails WHEN HOW   as none, but fails: WHEN is all, GOGC=N or once-in-N; HOW is status, signal, mute, hang or misspelt
  serve [HOW]      says where it listens, and each client under which setting; HOW: dies, stays (after SIGTERM)
  load URL [HOW]   connects, and reports as optimum; HOW: invalid, in the way of `weft load`

FAKE_LOG names a file to which each run adds a line: its pid and what it was started with. The noise follows from the number
of lines, so that a test sees the same each time. While there is a file FAKE_HANG, the eighth run never ends.
"""
import math
import os
import random
import signal
import sys
import time

MIB = 1 << 20


def number(name):
    return None if os.environ[name] == "off" else int(os.environ[name])


def heap_mib(gogc, limit):
    """8 MiB of live data; without a limit the heap grows by GOGC per cent of it."""
    grown = math.inf if gogc is None else 8 * (1 + gogc / 100)
    return min(grown, math.inf if limit is None else max(9, limit / MIB - 24))


def figures(model, noise):
    if model == "none":
        return 20000 * noise(0.02), 12.0, 900 * noise(0.05)
    gogc, limit = number("WEFT_GOGC"), number("WEFT_MEMLIMIT")
    heap = heap_mib(gogc, limit)
    away = abs(math.log2(100 * (heap / 8 - 1) / 200))
    return 20000 * 0.95 ** away * noise(0.01), heap, 700 * 2 ** away * noise(0.04)


def trace(cycles):
    for cycle in range(1, cycles + 1):
        sys.stderr.write(f"gctrace: cycle={cycle} at_ms={cycle * 10} why=heap from=12345678 to=23456789 live=8123456 "
                         f"goal=16777216 sys=33554432 mark_us=500 cpu_us=700 assist_us=20 idle_us=10 "
                         f"hold_us={cycle + 4} stacks=12 later=1\n")


def report(model):
    rng = random.Random(NUMBER)
    throughput, heap, tail = figures(model, lambda spread: rng.lognormvariate(0, spread))
    bytearray(b"x") * int(heap * MIB)
    if "gctrace=1" in os.environ.get("WEFT_DEBUG", "").split(",") and model != "none":
        trace(max(1, int(64 / heap)))
    return throughput, tail


def said(model):
    throughput, tail = report("optimum" if model == "json" else model)
    if model == "json":
        import json
        print("some words before")
        print(json.dumps({"mode": "open", "achieved_rate": throughput, "valid": True, "why": "",
                          "latency_us": {"count": 100000, "p50": 50.0, "p99": tail / 4, "p999": tail, "p9999": None, "max": 3 * tail}}))
    else:
        print(f"weft-tune: throughput={throughput:.1f} p50_us=80 p99_us={tail / 3:.2f} p999_us={tail:.2f}")


def misbehave(how):
    trace(1)
    if how == "status":
        sys.stderr.write("first words\nthe heap is broken\n")
        trace(1)
        sys.exit(3)
    if how == "signal":
        os.kill(os.getpid(), signal.SIGSEGV)
    if how == "hang":
        print("weft-tune: throughput=1", flush=True)
        signal.pause()
    if how == "misspelt":
        print("weft-tune: p999=12")
    sys.exit(0)


def due(when):
    if when.startswith("once-in-"):
        return NUMBER % int(when.removeprefix("once-in-")) == 0
    return when == "all" or when == f"GOGC={os.environ['WEFT_GOGC']}"


def serve(how=""):
    import socket
    def end(*_):
        report("optimum")
        sys.stderr.flush()
        os._exit(0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN if how == "stays" else end)
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"words before\nlistening on 127.0.0.1:{listener.getsockname()[1]}", flush=True)
    while True:
        conn, _ = listener.accept()
        if how == "dies":
            sys.exit("no memory left")
        conn.sendall(f"{os.environ['WEFT_GOGC']} {os.environ['WEFT_MEMLIMIT']}".encode())
        conn.close()


def load(where, how=""):
    import json
    import socket
    host, port = where.removeprefix("http://").rsplit(":", 1)
    with socket.create_connection((host, int(port))) as conn:
        os.environ["WEFT_GOGC"], os.environ["WEFT_MEMLIMIT"] = conn.recv(100).decode().split()
    if how == "invalid":
        print(json.dumps({"achieved_rate": 5.0, "latency_us": {"p50": 1.0}, "valid": False, "why": "achieved 5/s of 10/s offered"}))
        sys.exit(1)
    rng = random.Random(NUMBER)
    throughput, _, tail = figures("optimum", lambda spread: rng.lognormvariate(0, spread))
    sys.stderr.write(f"weft-tune: throughput={throughput:.1f}\n")
    print(f"weft-tune: p999_us={tail:.2f}")


def logged():
    """The number of this run."""
    if "FAKE_LOG" not in os.environ:
        return time.monotonic_ns()
    with open(os.environ["FAKE_LOG"], "a+") as log:
        log.write(f"{os.getpid()} {os.environ.get('WEFT_GOGC')} {os.environ.get('WEFT_MEMLIMIT')} {os.environ.get('WEFT_DEBUG')}\n")
        log.seek(0)
        return len(log.readlines())


NUMBER = logged()


def main():
    model, more = sys.argv[1], sys.argv[2:]
    if NUMBER == 8 and os.path.exists(os.environ.get("FAKE_HANG", "")):
        signal.pause()
    if model == "serve":
        serve(*more)
    elif model == "load":
        load(*more)
    elif model == "fails":
        if due(more[0]):
            misbehave(more[1])
        said("none")
    else:
        said(model)


main()
