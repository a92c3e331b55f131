#!/usr/bin/env python3
"""Stands in for the programs that the driver runs, so that its tests need no compiler and no toolchain.

usage: fake_program.py PERSON ...    PERSON: weft (load, hiccup, version), micro:SPEED, memory:SPEED, server:NAME

`FAKE_FAULT` in the environment makes one misbehave: see _fault.
"""
import json
import os
import random
import signal
import socket
import struct
import sys
import threading
import time
from collections import Counter

ROWS = ("spawn-batch spawn-one spawn-park yield-2 yield-1000 ping-pong chan-spsc chan-mpmc select-2 chan-try mutex "
        "mutex-contended rwmutex-read map-sync-load map-sync-store pool-get-put once assert semaphore defer protect panic timer park-100k park-1m fork-join timer-reset "
        "wake-polling rtt sched-latency json-decode json-encode").split()
MEMORY_ROWS = ("alloc-16 alloc-64 alloc-256 binary-trees-16 binary-trees-18 ring-push map-push gc-hold mark-tree mark-lists mark-poor "
               "set-idle").split()
HELLO = b"Hello, World!"


def option(argv, name, default=None):
    return argv[argv.index(name) + 1] if name in argv else default


def points(latencies):
    latencies.sort()
    n, listed, halvings = len(latencies), [], 0.0
    while 2 ** -halvings * n >= 1:
        q = 1 - 2 ** -halvings
        at = min(n - 1, int(q * n))
        listed.append([q, latencies[at], at + 1])
        halvings += 0.2
    return listed


def at(latencies, q):
    return latencies[int(q * len(latencies))] if len(latencies) * (1 - q) >= 100 else None


def load(argv):
    rate, duration = float(option(argv, "--rate", 130000)), float(option(argv, "--duration"))
    assert argv[1].startswith(("http://127.0.0.1:", "tcp://127.0.0.1:")), argv
    port = int(argv[1].split("//")[1].split("/")[0].split(":")[1])
    socket.create_connection(("127.0.0.1", port)).close()
    time.sleep(float(option(argv, "--warmup", 0)) + duration)
    rng = random.Random(time.time_ns())
    count = int(min(rate, 60000) * max(duration, 0.5))
    drift = rng.uniform(0.95, 1.05)
    lat = [drift * rng.lognormvariate(3.4, 0.35) * (1 if rng.random() < 0.999 else 6) for _ in range(count)]
    shown = points(lat)
    if "--histogram" in argv:
        with open(option(argv, "--histogram"), "w") as dump:
            buckets = Counter(int(v * 1000) // 64 * 64 for v in lat)
            dump.write(f"weft-histogram 1 count {count} min {int(lat[0] * 1000)} max {int(lat[-1] * 1000)}\n")
            dump.writelines(f"{v} {n}\n" for v, n in sorted(buckets.items()))
            dump.write("end\n")
    names = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999, "p9999": 0.9999}
    print(json.dumps({
        "mode": "open" if "--rate" in argv else "closed", "url": argv[1], "connections": 64,
        "duration_s": duration, "offered_rate": rate if "--rate" in argv else None, "achieved_rate": rate * drift,
        "requests": count, "errors": 3 if os.environ.get("FAKE_FAULT") == "errors" else 0, "timeouts": 0,
        "mismatches": 0, "late_sends": 0,
        "latency_us": {"count": count, "min": lat[0], "mean": sum(lat) / count,
                       **{k: at(lat, q) for k, q in names.items()}, "max": lat[-1]},
        "lateness_us": {"p50": 0.1, "p99": 1.0, "p999": 4.0, "max": 20.0},
        "hiccups_us": {"p99": 1.0, "max": 90.0}, "percentiles": shown,
        "cpu_us_per_op": {"user": 1.0, "system": 3.0},
        "valid": os.environ.get("FAKE_FAULT") != "late", "why": "late" if os.environ.get("FAKE_FAULT") == "late"
        else ""}))


def hiccup(argv):
    def end(*_):
        print(json.dumps({"seconds": 1.0, "interval_us": 1000, "count": 1000, "p50": 2.0, "p99": 55.0 +
                          random.random(), "p999": None, "max": 280.0, "percentiles": [[0.5, 2.0, 500], [0.99, 50.0 + 9 * random.random(), 990],
                                         [0.999, 280.0, 1000]], "cpus": []}))
        sys.stdout.flush()
        os._exit(0)
    signal.signal(signal.SIGTERM, end)
    while True:
        signal.pause()


def spread(speed, fault):
    count = 120000 - 100000 * (fault == "few")
    late = Counter(int(speed * random.lognormvariate(10, 1)) // 512 * 512 + 511 for _ in range(count))
    print(json.dumps({"row": "sched-latency", "procs": 2, "ns_per_op": sum(v * n for v, n in late.items()) / count,
                      "ops": count + (fault == "torn"), "check": "sum=499500", "bytes_per_op": None, "share": 60.5,
                      "histogram": sorted(late.items())}))


def micro(argv, speed):
    if "--list" in argv:
        print("\n".join(ROWS))
    elif "--version" in argv:
        print("fake micro 1.0")
    else:
        row, seconds = argv[0], float(option(argv, "--seconds"))
        fault = os.environ.get("FAKE_FAULT")
        if fault == "hang":
            time.sleep(3600)
        if row == "sched-latency":
            spread(speed, fault)
            return
        time.sleep(seconds)
        ns = speed * (20 + 10 * ROWS.index(row)) * random.uniform(0.97, 1.03)
        print(json.dumps({"row": row, "procs": int(option(argv, "--procs")), "ns_per_op": ns,
                          "ops": int(seconds * 1e9 / ns), "check": "sum=1" if fault == "work" else "sum=499500",
                          "bytes_per_op": 300 * speed if row.startswith("park") else None}))


def memory(argv, speed):
    """Of a heap that takes less time the more it may grow."""
    if "--list" in argv:
        print("\n".join(MEMORY_ROWS))
        return
    if "--version" in argv:
        print("fake memory 1.0")
        return
    row, fault = argv[0], os.environ.get("FAKE_FAULT")
    percent = int(os.environ.get("WEFT_GOGC") or os.environ.get("GOGC") or 100)
    time.sleep(float(option(argv, "--seconds")))
    ns, count = speed * (20 + 2000 / percent) * random.uniform(0.97, 1.03), 300000
    said = {"row": row, "procs": int(option(argv, "--procs")), "ns_per_op": ns, "ops": count, "check": "sum=1" if fault == "work" else "sum=2",
            "bytes_per_op": None, "wall_s": ns * count / 1e9, "cpu_s": 2 * ns * count / 1e9, "rss": (100 + percent) << 20}
    if row == "set-idle":
        said["plain_ns"] = ns * 1.1  # noise: a difference may be below nothing
    if row.endswith("-push"):
        late = Counter(int(speed * random.lognormvariate(7, 1)) // 512 * 512 + 511 for _ in range(count))
        said |= {"histogram": sorted(late.items()), "ns_per_op": sum(v * n for v, n in late.items()) / count}
    if fault == "bare":
        del said["rss"]
    print(json.dumps(said))


def answer(mode, path, fault):
    body = b"Goodbye, all." if fault == "body" else HELLO
    if mode == "raw":
        return b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\n" + body
    found = path == b"/plaintext"
    date = b"" if fault == "date" else b"Date: Sat, 21 Nov 2026 09:00:00 GMT\r\n"
    return (b"HTTP/1.1 " + (b"200 OK" if found else b"404 Not Found") + b"\r\nContent-Type: text/plain\r\n" + date +
            b"Content-Length: %d\r\n\r\n" % len(body if found else b"") + (body if found else b""))


def converse(conn, mode, fault):
    pending = b""
    while part := conn.recv(65536):
        if mode == "echo":
            conn.sendall(part)
            continue
        pending += part
        while b"\r\n\r\n" in pending:
            head, pending = pending.split(b"\r\n\r\n", 1)
            conn.sendall(answer(mode, head.split(b" ")[1], fault))
    conn.close()


def serve(argv, name):
    if "--version" in argv:
        print(f"{name} 1.0")
        return
    fault = os.environ.get("FAKE_FAULT")
    if fault == "port":
        sys.exit("address already in use")
    if fault == "mute":
        time.sleep(3600)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    print(f"listening on 127.0.0.1:{listener.getsockname()[1]}", flush=True)
    with open(option(argv, "--stats"), "r+b") as stats:
        stats.write(struct.pack("<Q", 0))
    while True:
        conn, _ = listener.accept()
        threading.Thread(target=converse, args=(conn, option(argv, "--mode"), fault), daemon=True).start()


def main():
    person, argv = sys.argv[1], sys.argv[2:]
    if os.environ.get("FAKE_PIDS"):
        with open(os.environ["FAKE_PIDS"], "a") as pids:
            pids.write(f"{os.getpid()}\n")
    if person.startswith("micro:"):
        micro(argv, float(person.removeprefix("micro:")))
    elif person.startswith("memory:"):
        memory(argv, float(person.removeprefix("memory:")))
    elif person.startswith("server:"):
        serve(argv, person.removeprefix("server:"))
    elif argv[0] == "version":
        print("weft 0.0-fake")
    else:
        {"load": load, "hiccup": hiccup}[argv[0]](argv)


main()
