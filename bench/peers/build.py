#!/usr/bin/env python3
"""Builds the peers that need a toolchain, and says for each peer how to run it or why it cannot be.

usage: build.py BUILD_DIR            builds what is not built and prints a JSON list of all peers
       build.py BUILD_DIR --verify   also has each do its work once: one that does it wrongly is not ok
       build.py --packages           prints the Debian packages that would bring the missing toolchains

    build(program, build_dir) -> Built     build_all(build_dir) -> [Built]     verify_all(build_dir, [Built])

Everything is written into BUILD_DIR/bench/peers. What was built is built again only when a source,
a manifest or the toolchain has changed: each language has a stamp with the hash of these. A failure is
tried again each time. The C peers are part of the normal build and are only looked for.

Which toolchain: the first on PATH. Only when that one is the distribution's own does a newer one later
on PATH come before it. Which crates: the current pins (rust/current) when the compiler is new enough
and they can be had, from cargo's cache or from the registry; else Debian's packaged ones (rust/debian),
when they are installed, and the note says so.

Exit status 0: every peer can be run. 1: some cannot. 2: wrong usage.
"""
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
GO_MIN = (1, 19)
DEBIAN_CRATES = Path("/usr/share/cargo/registry")
BUILD_TIMEOUT_S = 900

PACKAGES = {
    "go": ["golang-go"],
    "cargo": ["cargo", "rustc", "librust-tokio-dev", "librust-hyper-dev", "librust-async-channel-dev",
              "librust-memchr-dev", "librust-serde-dev", "librust-serde-derive-dev", "librust-serde-json-dev"],
}

# program: (language, kind, modes of a server)
PROGRAMS = {
    "go-raw": ("go", "server", ["raw", "echo"]),
    "go-http": ("go", "server", ["http"]),
    "go-micro": ("go", "micro", []),
    "go-memory": ("go", "memory", []),
    "tokio-raw": ("rust", "server", ["raw", "echo"]),
    "hyper": ("rust", "server", ["http"]),
    "tokio-micro": ("rust", "micro", []),
    "rust-memory": ("rust", "memory", []),
    "c-epoll": ("c", "server", ["raw", "echo"]),
    "c-epoll-spin": ("c", "server", ["raw", "echo"]),
    "c-uring": ("c", "server", ["raw", "echo"]),
    "c-floor": ("c", "micro", []),
    "c-bump": ("c", "memory", []),
    "c-mimalloc": ("c", "memory", []),
    "c-boehm": ("c", "memory", []),
}

# The settings under which a language is measured: label and environment.
VARIANTS = {
    "go": [["GOGC=100", {"GOGC": "100"}], ["GOGC=400", {"GOGC": "400"}]],
}

# What cargo says when a crate cannot be had, as opposed to a source that does not compile.
UNREACHABLE = re.compile(
    r"no matching package|failed to (download|fetch|get `|query|load source|select a version)|unable to update"
    r"|could not (connect|resolve)|network|--offline|HTTP request|download of", re.I)


@dataclass
class Built:
    """One peer. With ok, argv runs it; without, why says what is wrong with it."""
    name: str     # the language
    kind: str     # server, micro or memory
    program: str
    argv: list
    ok: bool
    why: str
    version: str  # what the program's --version prints
    note: str     # the age: "2026", "Debian's, 2022"
    modes: list = field(default_factory=list)
    variants: list = field(default_factory=list)

    @property
    def age(self):
        return self.note


@dataclass
class Toolchain:
    """A compiler, and the program that drives it."""
    driver: str
    compiler: str
    version: tuple
    text: str  # the whole line that it says about itself

    @property
    def short(self):
        return ".".join(map(str, self.version))

    @property
    def note(self):
        return ("Debian's, " if is_distributions(self.compiler) else "") + str(self.year())

    def year(self):
        """When this version appeared: Go has two releases a year, Rust one every six weeks."""
        said = re.search(r"\b(20\d\d)-\d\d-\d\d\b", self.text)
        if said:
            return int(said[1])
        minor = self.version[1]
        if "rustc" in self.text:
            return int(2022.61 + (minor - 63) * 42 / 365.25)
        return int(2022.59 + (minor - 19) / 2)


class Failure(Exception):
    """What the row of the peer says."""


def is_distributions(path):
    return os.path.dirname(path) in ("/usr/bin", "/bin") or path.startswith("/usr/lib/go-")


def on_path(name):
    """Every executable of that name on PATH, in its order, each place once."""
    found = []
    for folder in os.get_exec_path():
        path = os.path.join(folder, name)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            if os.path.realpath(path) not in map(os.path.realpath, found):
                found.append(path)
    return found


def run(command, **options):
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace", timeout=BUILD_TIMEOUT_S, **options)


def last_line(text):
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no output"


def first_error(text):
    """The line that names the cause: the first error of a compiler; else the last line."""
    for line in text.splitlines():
        if line.startswith("error"):
            return line.strip()
    return last_line(text)


def ask_version(driver, compiler, *question):
    """The toolchain, with version () when it does not say one."""
    try:
        said = run([compiler, *question]).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        said = str(error)
    number = re.search(r"(?:go|rustc )(\d+)\.(\d+)(?:\.(\d+))?", said)
    version = tuple(int(part) for part in number.groups() if part is not None) if number else ()
    return Toolchain(driver, compiler, version, last_line(said))


def prefer(candidates):
    """The first on PATH; if that is the distribution's own, the newest."""
    if candidates and is_distributions(candidates[0].driver):
        return max(candidates, key=lambda toolchain: toolchain.version)
    return candidates[0] if candidates else None


def find_go():
    paths = on_path("go") or sorted(map(str, Path("/usr/lib").glob("go-*/bin/go")))[-1:]
    return prefer([ask_version(path, path, "version") for path in paths])


def find_rust():
    def beside(cargo):
        rustc = os.path.join(os.path.dirname(cargo), "rustc")
        return rustc if os.access(rustc, os.X_OK) else shutil.which("rustc") or rustc
    return prefer([ask_version(path, beside(path), "--version") for path in on_path("cargo")])


def demand(toolchain, name, least):
    """Raises the Failure of a toolchain that is missing, silent or too old."""
    packages = " ".join(PACKAGES[name])
    if toolchain is None:
        raise Failure(f"missing: no {name} on PATH; apt-get install {packages}")
    if not toolchain.version:
        raise Failure(f"missing: {toolchain.compiler} gives no version ({toolchain.text})")
    if toolchain.version < least:
        raise Failure(f"too old: {toolchain.short}, needs {'.'.join(map(str, least))}: {toolchain.compiler}; "
                      f"put a newer one first on PATH or apt-get install {packages}")


def say(text):
    print(f"peers: {text}", file=sys.stderr, flush=True)


def digest(folder, *more):
    """A hash of every source under folder, and of what else decides the result."""
    state = hashlib.sha256(repr(more).encode())
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.name != "Cargo.lock"):
        state.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes() + b"\0")
    state.update(Path(__file__).read_bytes())
    return state.hexdigest()


class Stamp:
    """What was built last, beside the programs."""

    def __init__(self, out, language):
        self.out = out
        self.path = out / f"{language}.stamp.json"
        self.programs = [p for p, (of, _, _) in PROGRAMS.items() if of == language]

    def note_of(self, key):
        """The note of a build that is still good, or None."""
        try:
            stamp = json.loads(self.path.read_text())
        except (OSError, ValueError):
            return None
        good = stamp.get("key") == key and all((self.out / p).is_file() for p in self.programs)
        return stamp["note"] if good else None

    def write(self, key, note):
        self.path.write_text(json.dumps({"key": key, "note": note}))


def build_go(out):
    """Returns the note. go.mod says 1.19, the oldest that will do; a newer Go would then keep that
    version's run-time behaviour (its timers, for one), so it is given a copy that states its own."""
    go = find_go()
    demand(go, "go", GO_MIN)
    stamp = Stamp(out, "go")
    key = digest(HERE / "go", go.driver, go.text)
    note = stamp.note_of(key)
    if note is not None:
        return note
    say(f"building the Go peers with {go.text}")
    work = out / "go"
    work.mkdir(exist_ok=True)
    own = f"go {go.version[0]}.{go.version[1]}"
    (work / "go.mod").write_text(re.sub(r"(?m)^go .*$", own, (HERE / "go/go.mod").read_text()))
    env = {"GOCACHE": str(work / "cache")} if "HOME" not in os.environ and "GOCACHE" not in os.environ else {}
    programs = [f"./{p}" for p in stamp.programs]
    done = run([go.driver, "build", "-buildvcs=false", f"-modfile={work / 'go.mod'}", "-o", f"{out}/", *programs],
               cwd=HERE / "go", env={**os.environ, **env, "GOTOOLCHAIN": "local", "GOWORK": "off", "GOFLAGS": ""})
    if done.returncode:
        raise Failure(f"fails to build: {last_line(done.stdout)}")
    stamp.write(key, go.note)
    return go.note


def rust_version_of(crates):
    text = (HERE / "rust" / crates / "Cargo.toml").read_text()
    return tuple(map(int, re.search(r'rust-version = "([\d.]+)"', text)[1].split(".")))


def cargo_build(rust, crates, out, *options):
    """Runs cargo on a copy of the manifest, so that its lock file stays out of the source tree."""
    work = out / "rust"
    place = work / crates
    place.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(HERE / "rust" / crates / "Cargo.toml", place / "Cargo.toml")
    if not (work / "src").is_symlink():
        (work / "src").symlink_to(HERE / "rust/src")
    env = {**os.environ, "RUSTC": rust.compiler, "CARGO_TARGET_DIR": str(work / f"target-{crates}"),
           "CARGO_NET_RETRY": "1", "CARGO_HTTP_TIMEOUT": "15", "CARGO_TERM_COLOR": "never"}
    done = run([rust.driver, "build", "--release", *options], cwd=place, env=env)
    if done.returncode == 0:
        for program in Stamp(out, "rust").programs:
            built = work / f"target-{crates}" / "release" / program
            if not built.is_file():
                raise Failure(f"fails to build: {rust.driver} left no {program}")
            fresh = out / f"{program}.new"
            shutil.copy2(built, fresh)
            fresh.replace(out / program)
    return done


def build_rust(out):
    """Returns the note."""
    rust = find_rust()
    demand(rust, "cargo", rust_version_of("debian"))
    packaged = all((DEBIAN_CRATES / crate).is_dir() for crate in ("tokio-1.24.2", "hyper-0.14.19"))
    current = rust.version >= rust_version_of("current")
    if not current and not packaged:
        needs = ".".join(map(str, rust_version_of("current")))
        raise Failure(f"too old: {rust.short}, needs {needs}: {rust.compiler}; put a newer one first on PATH, "
                      f"or apt-get install {' '.join(PACKAGES['cargo'][2:])} for crates of its age")
    stamp = Stamp(out, "rust")
    key = digest(HERE / "rust", rust.driver, rust.compiler, rust.text, current)
    note = stamp.note_of(key)
    if note is not None:
        return note

    note = rust.note
    done = None
    if current:
        say(f"building the Rust peers with {rust.text}")
        done = cargo_build(rust, "current", out, "--offline")
        if done.returncode and UNREACHABLE.search(done.stdout):
            done = cargo_build(rust, "current", out)
    if done is None or (done.returncode and packaged and UNREACHABLE.search(done.stdout)):
        say(f"building the Rust peers with {rust.text} and Debian's crates")
        if done is not None:
            note = f"{rust.note}, with Debian's crates of 2023: the registry cannot be reached"
        elif not is_distributions(rust.compiler):
            note = f"{rust.note}, with Debian's crates of 2023"
        done = cargo_build(rust, "debian", out, "--offline",
                           "--config", 'source.crates-io.replace-with="debian"',
                           "--config", f'source.debian.directory="{DEBIAN_CRATES}"')
    if done.returncode:
        if UNREACHABLE.search(done.stdout):
            raise Failure(f"fails to build: the crates cannot be had ({first_error(done.stdout)}); "
                          f"apt-get install {' '.join(PACKAGES['cargo'][2:])} brings older ones")
        raise Failure(f"fails to build: {last_line(done.stdout)}")
    stamp.write(key, note)
    return note


# Those in C are part of the normal build, and some of a release build only.
BUILDERS = {"go": build_go, "rust": build_rust, "c": lambda out: ""}


def build_all(build_dir, languages=tuple(BUILDERS)):
    """Builds what is to be built; one Built for each program of the languages."""
    out = Path(build_dir).resolve() / "bench" / "peers"
    out.mkdir(parents=True, exist_ok=True)
    result = []
    for language in languages:
        note = why = ""
        try:
            note = BUILDERS[language](out)
        except Failure as failure:
            why = str(failure)
        except (OSError, subprocess.TimeoutExpired) as error:
            why = f"fails to build: {error}"
        for program, (of, kind, modes) in PROGRAMS.items():
            if of != language:
                continue
            absent = "" if why or (out / program).is_file() else f"missing: ninja -C {out.parent.parent} builds it"
            peer = Built(of, kind, program, [str(out / program)], not (why or absent), why or absent, "", note, modes,
                         VARIANTS.get(of, []))
            if peer.ok:
                try:
                    said = run([*peer.argv, "--version"])
                    peer.version = last_line(said.stdout)
                    if said.returncode:
                        peer.ok, peer.why = False, f"does not run: {peer.version}"
                except (OSError, subprocess.TimeoutExpired) as error:
                    peer.ok, peer.why = False, f"does not run: {error}"
            result.append(peer)
    return result


def build(program, build_dir):
    """Builds the one program (and those that are built together with it)."""
    language = PROGRAMS[program][0]
    return next(peer for peer in build_all(build_dir, [language]) if peer.program == program)


def verify_all(build_dir, peers):
    """Marks the peers that answer wrongly. What was right is not asked again until it is built again."""
    import check  # here, since it is the only use
    path = Path(build_dir).resolve() / "bench" / "peers" / "verified.json"
    try:
        right = json.loads(path.read_text())
    except (OSError, ValueError):
        right = {}
    for peer in peers:
        if not peer.ok:
            continue
        state = os.stat(peer.argv[0])
        mark = [state.st_mtime_ns, state.st_size, hashlib.sha256(Path(check.__file__).read_bytes()).hexdigest()]
        if right.get(peer.program) == mark:
            continue
        say(f"checking the work of {peer.program}")
        why = check.verify(peer)
        if why:
            peer.ok, peer.why = False, why
            right.pop(peer.program, None)
        else:
            right[peer.program] = mark
    path.write_text(json.dumps(right))


def main():
    arguments = sys.argv[1:]
    if arguments == ["--packages"]:
        found = {"go": find_go(), "cargo": find_rust()}
        print(*(package for name, packages in PACKAGES.items() if not found[name] for package in packages))
        return 0
    verify = arguments[1:] == ["--verify"]
    if not arguments or arguments[0].startswith("-") or (arguments[1:] and not verify):
        print(__doc__.split("\n\n")[1], file=sys.stderr)
        return 0 if arguments in (["--help"], ["-h"]) else 2
    if not Path(arguments[0]).is_dir():
        print(f"build.py: no such directory: '{arguments[0]}'", file=sys.stderr)
        return 2
    peers = build_all(arguments[0])
    if verify:
        verify_all(arguments[0], peers)
    print(json.dumps([asdict(peer) for peer in peers], indent=1))
    return 0 if all(peer.ok for peer in peers) else 1


if __name__ == "__main__":
    sys.exit(main())
