"""Checks that a peer does the work that it is measured for.

    verify(peer) -> None, or why its answers are wrong      (peer: build.Built; some tens of milliseconds)

A server is asked what it will be asked when it is measured, and what trips a careless one: requests in
pieces, sixteen in one write, more than its buffers hold. A micro program must prove the work of a batch;
CHECKS is what every peer's `check` says, so that counts are compared without running two peers.
"""
import ctypes
import email.utils
import json
import os
import select
import signal
import socket
import subprocess
import threading

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, World!"
REQUEST = b"GET /plaintext HTTP/1.1\r\nHost: localhost\r\n\r\n"
TIMEOUT_S = 20

CHECKS = {
    "spawn-batch": "tasks=1000 done=1000",
    "spawn-one": "tasks=10000 done=10000",
    "spawn-park": "tasks=1000 parked=1000 done=1000",
    "fork-join": "leaves=1048576 sum=549755289600",
    "yield-2": "tasks=2 yields=100000",
    "yield-1000": "tasks=1000 yields=100000",
    "ping-pong": "trips=10000 sum=49995000",
    "chan-spsc": "elements=100000 sum=5000050000",
    "chan-mpmc": "elements=100000 sum=5000050000",
    "select-2": "elements=100000 sum=2500050000",
    "chan-try": "elements=100000 sum=5000050000",
    "mutex": "locks=100000 count=100000",
    "mutex-contended": "locks=100000 count=100000",
    "rwmutex-read": "reads=99900 writes=100",
    "once": "calls=100000 ran=1",
    "assert": "asserts=100000 sum=100000",
    "semaphore": "acquired=100000 left=3",
    "defer": "calls=100000 run=100000",
    "protect": "calls=100000 panics=0",
    "panic": "deferred=10000 panics=10000",
    "timer": "pending=100000 stopped=10000",
    "timer-reset": "pending=100000 reset=10000",
    "map-insert": "keys=1000000 len=1000000",
    "map-hit": "keys=1000000 found=1000000 sum=499999500000",
    "map-miss": "keys=1000000 found=0 sum=0",
    "map-worst": "keys=10000000 times=3 len=30000000",
    "map-sync-load": "keys=100000 found=180000 sum=8986031958",
    "map-sync-store": "keys=100000 len=100000",
    "pool-get-put": "taken=120000 uses=120000",
    "json-decode": "bytes=1048844 hash=c455e148 records=2417 sum=-74120949",
    "json-encode": "bytes=1038298 hash=1f883326",
    "park-100k": "tasks=100000 parked=100000 done=100000",
    "park-1m": "tasks=1000000 parked=1000000 done=1000000",
    "sched-latency": "goroutines=1000 rounds=8 sum=18074985233683303398",  # the fewest rounds, as they are in a short run
    "rtt": "trips=100000",
    "wake-polling": "wakes=200000 sum=4999950000",
    "alloc-16": "live=4194304 dirty=0 sum=13194137436160",
    "alloc-64": "live=1048576 dirty=0 sum=824633196544",
    "alloc-256": "live=262144 dirty=0 sum=51539476480",
    "binary-trees-16": "depth=16 nodes=14985902",
    "binary-trees-18": "depth=18 nodes=68332206",
    "ring-push": "live=200000 pushes=200000 sum=25497952",  # the fewest pushes
    "map-push": "live=1000000 pushes=200000 sum=699999500000",
    "gc-hold": "goroutines=10000 nodes=16777215 sum=49995000",
    "mark-tree": "bytes=134217696 live=134217696",
    "mark-lists": "bytes=134217728 live=134217728",
    "mark-poor": "bytes=268435456 live=268435456",
    "set-idle": "stores=1000000 right=1024",
}
# What is between two cores: with one, a program refuses it.
TWO_CORES = ("rtt", "wake-polling", "sched-latency")
# What one goroutine does alone, for long: another core changes nothing.
ONE_CORE = ("map-worst", "alloc-16", "alloc-256", "binary-trees-18", "map-push", "gc-hold", "mark-tree", "mark-lists", "mark-poor")
# Whose batch takes a second or more.
LONG = ("fork-join", "map-worst", "park-100k", "park-1m", "alloc-16", "binary-trees-18", "map-push", "gc-hold", "mark-tree", "mark-lists",
        "mark-poor")


class Wrong(Exception):
    """What the peer did that it should not have."""


def expect(condition, why):
    if not condition:
        raise Wrong(why)


def end_with_parent():
    """The kernel ends the child when this process dies, however it dies."""
    ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL)


class Server:
    """A running server on a free port of 127.0.0.1; ended on leaving the `with`."""

    def __init__(self, argv, mode, *options):
        self.command = [*argv, "--mode", mode, "--listen", "127.0.0.1:0", *options]
        self.process = None

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, preexec_fn=end_with_parent)
        try:
            ready, _, _ = select.select([self.process.stdout], [], [], TIMEOUT_S)
            line = self.process.stdout.readline() if ready else ""
            if not line.startswith("listening on 127.0.0.1:"):
                self.process.kill()
                _, said = self.process.communicate()
                raise Wrong(f"does not start: {(line or said).strip() or 'no output'}")
            self.port = int(line.rsplit(":", 1)[1])
        except BaseException:
            self.end(signal.SIGKILL)
            raise
        return self

    def __exit__(self, *error):
        self.end(signal.SIGTERM)

    def end(self, how):
        """Ends the server and returns its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for stream in (self.process.stdout, self.process.stderr):
            stream.close()
        return self.process.returncode

    def connect(self):
        connection = socket.create_connection(("127.0.0.1", self.port), TIMEOUT_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection


def receive(connection, size):
    """size bytes; fewer when the server closes."""
    parts = []
    while size:
        try:
            part = connection.recv(min(size, 1 << 16))
        except TimeoutError:
            raise Wrong(f"{size} bytes of its answer do not come") from None
        if not part:
            break
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def silent(connection):
    """True if nothing comes for a moment."""
    return not select.select([connection], [], [], 0.02)[0]


def send_pieces(connection, *pieces):
    """Sends each piece by itself: the pause lets the server read one before the next arrives."""
    for piece in pieces:
        connection.sendall(piece)
        select.select([], [], [], 0.002)


def send_behind(connection, data):
    """Sends in a thread, so that whoever asks much need not read first."""
    def work():
        try:
            connection.sendall(data)
        except OSError:
            pass  # the reader finds out what is missing
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def check_raw(server):
    def answers(connection, count, what):
        got = receive(connection, count * len(ANSWER))
        expect(got == count * ANSWER, f"{what}: {got[:200]!r} after {len(got)} bytes")

    with server.connect() as one:
        one.sendall(REQUEST)
        answers(one, 1, "one request")
        one.sendall(REQUEST.replace(b"/plaintext", b"/nothing/here"))
        answers(one, 1, "any path")
        one.sendall(16 * REQUEST)
        answers(one, 16, "16 pipelined")
        one.sendall(1000 * REQUEST)
        answers(one, 1000, "1000 pipelined")
        for cut in range(1, 5):
            send_pieces(one, REQUEST[:-cut])
            expect(silent(one), f"answers a request that lacks {cut} bytes")
            send_pieces(one, REQUEST[len(REQUEST) - cut:])
            answers(one, 1, f"cut {cut} bytes from its end")
        for cut in range(1, 5):
            send_pieces(one, 16 * REQUEST + REQUEST[:-cut], REQUEST[len(REQUEST) - cut:] + REQUEST)
            answers(one, 18, f"16 pipelined, and one cut {cut} bytes from its end")
        send_pieces(one, *(bytes([byte]) for byte in REQUEST))
        answers(one, 1, "byte by byte")
        long = REQUEST[:-2] + b"X-Long: " + 20000 * b"x\r\r\n" + b"\r\n\r\n"
        one.sendall(long)
        answers(one, 1, "a request longer than the buffer")
        expect(silent(one), "answers what was not asked")
    with server.connect() as slow, server.connect() as other:
        sender = send_behind(slow, 50000 * REQUEST)
        sender.join(0.2)  # by now the server cannot send, and must not hold up the others
        other.sendall(REQUEST)
        answers(other, 1, "beside a client that does not read")
        answers(slow, 50000, "50,000 pipelined, read late")
        sender.join()
    many = [server.connect() for _ in range(64)]
    for connection in many:
        connection.sendall(REQUEST)
    for connection in many:
        answers(connection, 1, "64 connections")
        connection.close()


def http_answer(connection):
    """Status, headers with lower-case names, body."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = receive(connection, 1)
        expect(byte, f"closes within the head of its answer: {head!r}")
        head += byte
    status, *lines = head[:-4].decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    expect(headers.get("content-length", "").isdigit(), f"no Content-Length: {head!r}")
    return status, headers, receive(connection, int(headers["content-length"]))


def check_http(server):
    def plaintext(connection, what):
        status, headers, body = http_answer(connection)
        expect(status == "HTTP/1.1 200 OK" and body == b"Hello, World!", f"{what}: {status} {body!r}")
        expect(headers.get("content-type", "").startswith("text/plain"), f"{what}: Content-Type in {headers}")
        expect(email.utils.parsedate(headers.get("date", "")) and headers["date"].endswith(" GMT"),
               f"{what}: Date in {headers}")

    with server.connect() as one:
        one.sendall(REQUEST)
        plaintext(one, "one request")
        one.sendall(REQUEST.replace(b"/plaintext", b"/nothing/here"))
        status, _, _ = http_answer(one)
        expect(status == "HTTP/1.1 404 Not Found", f"another path: {status}")
        one.sendall(16 * REQUEST)
        for _ in range(16):
            plaintext(one, "16 pipelined")
        for cut in range(1, 5):
            send_pieces(one, REQUEST[:-cut])
            expect(silent(one), f"answers a request that lacks {cut} bytes")
            send_pieces(one, REQUEST[len(REQUEST) - cut:])
            plaintext(one, f"cut {cut} bytes from its end")
        send_pieces(one, *(bytes([byte]) for byte in REQUEST))
        plaintext(one, "byte by byte")
        expect(silent(one), "answers what was not asked")
    many = [server.connect() for _ in range(64)]
    for connection in many:
        connection.sendall(REQUEST)
    for connection in many:
        plaintext(connection, "64 connections")
        connection.close()


def check_echo(server):
    with server.connect() as one:
        for text in (b"x", os.urandom(64), os.urandom(4096), os.urandom(4097)):
            one.sendall(text)
            expect(receive(one, len(text)) == text, f"{len(text)} bytes come back changed")
        text = os.urandom(1 << 20)
        sender = send_behind(one, text)
        expect(receive(one, len(text)) == text, "1 MiB comes back changed")
        sender.join()
    with server.connect() as slow, server.connect() as other:
        text = os.urandom(16 << 20)
        sender = send_behind(slow, text)
        sender.join(0.2)
        other.sendall(b"beside")
        expect(receive(other, 6) == b"beside", "a client that does not read holds up another")
        expect(receive(slow, len(text)) == text, "16 MiB read late come back changed")
        sender.join()
        slow.shutdown(socket.SHUT_WR)
        expect(receive(slow, 1) == b"", "does not close after the client has")


SERVER_CHECKS = {"raw": check_raw, "http": check_http, "echo": check_echo}


def run_row(argv, row, procs, seconds):
    """The JSON object of a micro or memory row."""
    done = subprocess.run([*argv, row, "--procs", str(procs), "--seconds", str(seconds)], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=120, preexec_fn=end_with_parent)
    expect(done.returncode == 0, f"{row}: status {done.returncode}: {done.stderr.strip()}")
    try:
        return json.loads(done.stdout)
    except ValueError:
        raise Wrong(f"{row}: not JSON: {done.stdout.strip()!r}") from None


def check_row(argv, row, procs, seconds):
    said = run_row(argv, row, procs, seconds)
    expect(row in CHECKS, f"{row}: no such row in CHECKS")
    expect(said["row"] == row and said["procs"] == procs, f"{row}: measures {said['row']} on {said['procs']}")
    expect(said["check"] == CHECKS[row], f"{row}: {said['check']!r} instead of {CHECKS[row]!r}")
    expect(said["ops"] > 0 and said["ns_per_op"] > 0, f"{row}: nothing measured: {said}")
    expect((said["bytes_per_op"] or 0) > 0 if row.startswith("park-") else said["bytes_per_op"] is None,
           f"{row}: {said['bytes_per_op']} bytes for each")
    if "rss" in said:
        expect(said["rss"] > 0 and said["cpu_s"] >= 0 and said["wall_s"] > 0, f"{row}: used nothing: {said}")
    if "histogram" in said:
        check_histogram(said)
    expect(row != "sched-latency" or 0 < said["share"] <= 200, f"{row}: a share of {said.get('share')}%")
    expect((row == "sched-latency" or row.endswith("-push")) == ("histogram" in said), f"{row}: a histogram where there should be none, or none")
    expect((row == "set-idle") == ("plain_ns" in said), f"{row}: a plain store where nothing is stored, or none")


def check_histogram(said):
    values, counts = zip(*said["histogram"])
    expect(all(a < b for a, b in zip(values, values[1:])), f"{said['row']}: its histogram does not rise")
    expect(sum(counts) == said["ops"] and min(counts) > 0, f"{said['row']}: {sum(counts)} samples of {said['ops']}")
    mean = sum(value * count for value, count in said["histogram"]) / said["ops"]
    expect(abs(mean / said["ns_per_op"] - 1) < 0.01, f"{said['row']}: a mean of {said['ns_per_op']}, by the histogram {mean}")


def rows_of(argv):
    done = subprocess.run([*argv, "--list"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT_S)
    expect(done.returncode == 0 and done.stdout.split(), f"--list: status {done.returncode}: {done.stderr.strip()}")
    return done.stdout.split()


def verify(peer):
    """None, or why the peer must not be measured."""
    try:
        if peer.kind == "server":
            for mode in peer.modes:
                with Server(peer.argv, mode) as server:
                    SERVER_CHECKS[mode](server)
        else:
            for row in rows_of(peer.argv):
                if row not in TWO_CORES + LONG:
                    check_row(peer.argv, row, 1, 0.001)
    except (Wrong, OSError, subprocess.TimeoutExpired, ValueError, KeyError) as error:
        return f"answers wrongly: {error}"
    return None
