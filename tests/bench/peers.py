#!/usr/bin/env python3
"""Every peer of the bench does the same work: TAP, one test for each program and mode.

usage: tests/bench/peers.py BUILD_DIR [PROGRAM ...]
       tests/bench/peers.py --list       every name, as if all programs could be built, and none could

Builds the peers first. A language is skipped only when its toolchain is missing. With names, only these
programs are tested; without, build.py's bad cases are too.
"""
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench" / "peers"))
import build  # noqa: E402
import check  # noqa: E402
from check import Server, Wrong, expect  # noqa: E402


class Skip(Exception):
    pass


def server_test(peer, mode, threads):
    def test():
        with Server(peer.argv, mode, "--threads", str(threads)) as server:
            check.SERVER_CHECKS[mode](server)
            expect(server.process.poll() is None, "the server has died")
            expect(server.end(signal.SIGTERM) == 0, "SIGTERM does not end it with status 0")
    return f"{peer.program}/{mode}-{threads}", test


def options_test(peer):
    def ended(*options):
        return subprocess.run([*peer.argv, *options], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=check.TIMEOUT_S, preexec_fn=check.end_with_parent)

    def test():
        mode = peer.modes[0]
        for options in (["--mode", "nothing", "--listen", "127.0.0.1:0"], ["--mode", mode],
                        ["--mode", mode, "--listen", "127.0.0.1:0", "--threads", "0"], ["--unknown"], ["unknown"]):
            done = ended(*options)
            expect(done.returncode == 2 and done.stderr, f"{options}: status {done.returncode}, {done.stderr!r}")
        with tempfile.TemporaryDirectory() as folder:
            stats = Path(folder) / "stats"
            with Server(peer.argv, mode, "--stats", str(stats)) as server:
                again = ended("--mode", mode, "--listen", f"127.0.0.1:{server.port}")
                expect(again.returncode == 1 and "in use" in again.stderr,
                       f"port in use: status {again.returncode}, {again.stderr!r}")
                with server.connect() as connection:
                    connection.sendall(check.REQUEST)
                    expect(check.receive(connection, 8), "no answer")
                expect(stats.stat().st_size == 8, f"--stats wrote {stats.stat().st_size} bytes")
                spins = peer.program.endswith("-spin")
                deadline = time.monotonic() + check.TIMEOUT_S
                while spins and stats.read_bytes() == bytes(8) and time.monotonic() < deadline:
                    time.sleep(0.01)
                expect((stats.read_bytes() != bytes(8)) == spins, f"--stats says {stats.read_bytes()}")
                expect(server.end(signal.SIGINT) == 0, "SIGINT does not end it with status 0")
    return f"{peer.program}/options", test


def micro_test(peer, procs):
    def test():
        rows, refused = check.rows_of(peer.argv), []
        expect(len(set(rows)) == len(rows), f"a row twice in {rows}")
        for row in rows:
            if row in check.TWO_CORES and procs == 1:
                refused.append([row])
            elif row in check.ONE_CORE and procs > 1:
                continue
            elif row not in check.TWO_CORES or len(os.sched_getaffinity(0)) > 1:
                check.check_row(peer.argv, row, procs, 0.05)
        for bad in refused + [[], ["no-such-row"], [rows[0], "--procs", "0"], [rows[0], "--seconds", "-1"], ["--unknown"]]:
            done = subprocess.run([*peer.argv, *bad], capture_output=True, text=True, timeout=check.TIMEOUT_S)
            expect(done.returncode == 2 and done.stderr, f"{bad}: status {done.returncode}, {done.stderr!r}")
    return f"{peer.program}/rows-{procs}", test


def program_tests(peer):
    if peer.kind == "server":
        yield from (server_test(peer, mode, threads) for mode in peer.modes for threads in (1, 2))
        yield options_test(peer)
    else:
        yield from (micro_test(peer, procs) for procs in (1, 2))


def unbuilt_test(peer):
    """What cannot run: a skip when the toolchain is missing, or the kernel refuses; else a failure."""
    def test():
        if peer.why.startswith("missing: no "):
            raise Skip(peer.why)
        raise Wrong(peer.why)
    return f"{peer.program}/built", test


# build.py's bad cases, each with a fake toolchain first on PATH, or none.

def with_tools(language, tools, keep_path=True):
    """Builds the language in an empty directory with the tools (name: shell script) on PATH."""
    with tempfile.TemporaryDirectory() as folder:
        tool_dir = Path(folder) / "bin"
        tool_dir.mkdir()
        for name, script in tools.items():
            (tool_dir / name).write_text(f"#!/bin/sh\n{script}\n")
            (tool_dir / name).chmod(0o755)
        before = os.environ["PATH"]
        os.environ["PATH"] = f"{tool_dir}:{before}" if keep_path else str(tool_dir)
        try:
            return build.build_all(folder, [language])
        finally:
            os.environ["PATH"] = before


def why_of(peers):
    expect(peers and not any(peer.ok for peer in peers), "built all the same")
    expect(len({peer.why for peer in peers}) == 1, "the programs of one language disagree")
    return peers[0].why


def test_too_old():
    why = why_of(with_tools("go", {"go": "echo go version go1.18 linux/amd64"}))
    expect(why.startswith("too old: 1.18, needs 1.19: "), why)
    why = why_of(with_tools("rust", {"cargo": "exit 0", "rustc": "echo 'rustc 1.60.0 (7737e0b5c 2022-04-04)'"}))
    expect(why.startswith("too old: 1.60.0, needs 1.63: "), why)


def test_fails_to_build():
    rustc = {"rustc": "echo 'rustc 1.90.0 (1159e78c4 2025-09-14)'"}
    why = why_of(with_tools("rust", {"cargo": "echo Compiling; echo 'error: fake failure' >&2; exit 101", **rustc}))
    expect(why == "fails to build: error: fake failure", why)
    why = why_of(with_tools("rust", {"cargo": "exit 0", **rustc}))
    expect(why.startswith("fails to build: "), why)
    go = 'if [ "$1" = version ]; then echo go version go1.30.1 linux/amd64; else echo fake failure >&2; exit 1; fi'
    why = why_of(with_tools("go", {"go": go}))
    expect(why == "fails to build: fake failure", why)


def test_missing():
    why = why_of(with_tools("rust", {}, keep_path=False))
    expect(why.startswith("missing: no cargo on PATH; apt-get install cargo "), why)
    why = why_of(with_tools("c", {}))
    expect(why.startswith("missing: "), why)


def test_no_version():
    why = why_of(with_tools("go", {"go": "echo broken installation >&2; exit 1"}))
    expect(why.startswith("missing: ") and "broken installation" in why, why)


def test_packages():
    with tempfile.TemporaryDirectory() as empty:
        done = subprocess.run([sys.executable, ROOT / "bench/peers/build.py", "--packages"], capture_output=True,
                              text=True, env={**os.environ, "PATH": empty})
    expect(done.returncode == 0 and {"cargo", "rustc", "librust-tokio-dev"} <= set(done.stdout.split()), done.stdout)


def test_answers_wrongly(build_dir):
    def test():
        with tempfile.TemporaryDirectory() as folder:
            script = Path(folder) / "liar"
            server = build_dir / "bench/peers/c-epoll"
            script.write_text(f"#!/bin/sh\nexec {server} --mode raw --listen 127.0.0.1:0\n")
            script.chmod(0o755)
            liar = build.Built("c", "server", "liar", [str(script)], True, "", "", "", ["http"])
            (Path(folder) / "bench/peers").mkdir(parents=True)
            build.verify_all(folder, [liar])
            expect(not liar.ok and liar.why.startswith("answers wrongly: one request: "), liar.why)
            honest = build.Built("c", "server", "honest", [str(server)], True, "", "", "", ["raw"])
            build.verify_all(folder, [honest])
            expect(honest.ok and not honest.why, honest.why)
    return test


BUILD_TESTS = [("build/too-old", test_too_old), ("build/fails-to-build", test_fails_to_build),
               ("build/missing", test_missing), ("build/no-version", test_no_version),
               ("build/packages", test_packages)]


def all_tests(build_dir, programs):
    names = programs or list(build.PROGRAMS)
    languages = sorted({build.PROGRAMS[name][0] for name in names})
    for peer in build.build_all(build_dir, languages):
        if peer.program in names:
            yield from program_tests(peer) if peer.ok else [unbuilt_test(peer)]
    if not programs:
        yield from BUILD_TESTS
        yield "build/answers-wrongly", test_answers_wrongly(build_dir)


def list_names():
    everything = [build.Built(language, kind, program, [], True, "", "", "", modes)
                  for program, (language, kind, modes) in build.PROGRAMS.items()]
    names = [name for peer in everything for name, _ in program_tests(peer)]
    names += [unbuilt_test(peer)[0] for peer in everything if peer.name != "c"]
    print(*names, *(name for name, _ in BUILD_TESTS), "build/answers-wrongly", sep="\n")
    return 0


def main():
    if sys.argv[1:] == ["--list"]:
        return list_names()
    if len(sys.argv) < 2 or any(name not in build.PROGRAMS for name in sys.argv[2:]):
        print(__doc__, file=sys.stderr)
        return 2
    tests = list(all_tests(Path(sys.argv[1]).resolve(), sys.argv[2:]))
    print(f"1..{len(tests)}", flush=True)
    failed = 0
    for number, (name, test) in enumerate(tests, 1):
        try:
            test()
            print(f"ok {number} {name}", flush=True)
        except Skip as skip:
            print(f"ok {number} {name} # SKIP {skip}", flush=True)
        except Exception as error:
            if isinstance(error, Wrong) and "io_uring: " in str(error):
                print(f"ok {number} {name} # SKIP {error}", flush=True)
                continue
            failed += 1
            print(f"{name}: {error}", file=sys.stderr)
            if not isinstance(error, Wrong):
                traceback.print_exc()
            print(f"not ok {number} {name}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
