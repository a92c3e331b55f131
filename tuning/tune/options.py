"""The command line of `weft tune gc`."""
import shlex
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from suite.program import Wrong
from tune import measure, quantity, setting
from tune.goal import Goal

HELP = """usage: weft tune gc [OPTION ...] -- CMD [ARG ...]

Runs CMD again and again over WEFT_GOGC and WEFT_MEMLIMIT, reads throughput and latency that it reports, its resident
memory and its gctrace, draws them with intervals, and names the setting to use. CMD prints on stdout or stderr a line
  weft-tune: throughput=12345 p50_us=80 p99_us=200 p999_us=900 max_us=4000
with at least one of these figures, or what `weft load --json` prints. docs/tuning.md says how to read the result.

  --budget S         seconds for all runs together (300), those in the state file included
  --runs N           rounds at least, 3 or more (5); what is worth it gets up to four times as many
  --timeout S        of one run (60)
  --gogc LIST        what to try, as in 50,100,off (25,50,100,200,400,800,off)
  --limits LIST      as in 256MiB,1GiB,off, each with every GOGC; otherwise three that suit the memory seen, for GOGC off
  --load CMD         CMD serves: wait for `listening on ADDR:PORT`, run this with {url} (http://ADDR:PORT) or {addr}
                     (ADDR:PORT) replaced, then SIGTERM; without a shell
  --p50 T, --p99 T, --p999 T, --max T      a goal: at most that, as in 1ms
  --rss SIZE, --throughput N               a goal: at most that, as in 512MiB; at least that many a second
  --state FILE       keep each run there; the same call goes on where it ended
  --html FILE        the result as a page
  --json             the result as JSON on stdout
  --seed N           of the order of the runs, and of the statistics (1)
  --help             this text

Ends with 0 done, 1 all runs failed or interrupted, 2 wrong usage.
"""


@dataclass
class Options:
    command: list[str] = field(default_factory=list)
    load: list[str] = field(default_factory=list)
    budget: float = 300.0
    timeout: float = 60.0
    runs: int = 5
    seed: int = 1
    gogc: tuple[int | None, ...] = setting.GRID
    limits: tuple[int | None, ...] | None = None  # None: derived
    goals: list[Goal] = field(default_factory=list)
    state: Path | None = None
    html: Path | None = None
    json: bool = False
    help: bool = False


def _whole(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            raise ValueError(f"want a whole number from {low} to {high}")
        return int(text)
    return read


def _seconds(text: str) -> float:
    value = quantity.count(text)
    if not 0.1 <= value <= 1e6:
        raise ValueError("want seconds from 0.1 to 1000000")
    return value


def _list_of(read: Callable[[str], int]) -> Callable[[str], tuple[int | None, ...]]:
    def read_list(text: str) -> tuple[int | None, ...]:
        return tuple(dict.fromkeys(None if word == "off" else read(word) for word in text.split(",")))
    return read_list


def _path(text: str) -> Path:
    if not text:
        raise ValueError("want a file")
    return Path(text)


def _load(text: str) -> list[str]:
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ValueError(f"cannot be split into words: {error}") from None
    if not any("{url}" in word or "{addr}" in word for word in words):
        raise ValueError("names neither {url} nor {addr}: where should it go?")
    return words


_VALUES: dict[str, Callable] = {
    "--budget": _seconds, "--timeout": _seconds, "--runs": _whole(3, 1000), "--seed": _whole(0, 10**9),
    "--gogc": _list_of(_whole(1, setting.GOGC_MAX)), "--limits": _list_of(quantity.size), "--load": _load,
    "--state": _path, "--html": _path}
_GOALS = {measure.option_of(one): one for one in measure.ALL.values() if one.read}
_FLAGS = ("--json", "--help", "-h")


def _set(options: Options, name: str, text: str) -> None:
    try:
        if name in _GOALS:
            one = _GOALS[name]
            options.goals = [g for g in options.goals if g.measure is not one] + [Goal(one, one.read(text), text)]
        else:
            setattr(options, name.removeprefix("--"), _VALUES[name](text))
    except ValueError as error:
        raise Wrong(f"{name} '{text}': {error}") from None


def _check(options: Options) -> Options:
    if not options.command:
        raise Wrong("no command: weft tune gc [OPTION ...] -- CMD [ARG ...]")
    if not shutil.which(options.command[0]):
        raise Wrong(f"command '{options.command[0]}': not found, or cannot be run")
    if options.load and not shutil.which(options.load[0]):
        raise Wrong(f"--load '{options.load[0]}': not found, or cannot be run")
    if len(first_settings(options)) < 2:
        raise Wrong("--gogc and --limits leave less than two settings to compare; GOGC off wants a limit")
    return options


def first_settings(options: Options) -> list[setting.Setting]:
    """All that can be said before anything has run: derived limits, for GOGC off alone, come to it."""
    found = setting.grid(options.gogc, options.limits or (None,))
    if options.limits is None and None in options.gogc and len(found) == 1:
        found.append(setting.Setting(None, None))  # stands for the limits to come
    return found


def parse(argv: list[str]) -> Options:
    options = Options()
    if argv[:1] in (["--help"], ["-h"]):
        options.help = True
        return options
    if argv[:1] != ["gc"]:
        raise Wrong(f"no '{argv[0]}' to tune; there is: gc" if argv else "tune what? weft tune gc -- CMD [ARG ...]")
    rest = argv[1:]
    while rest:
        word = rest.pop(0)
        name, equals, text = word.partition("=")
        if word == "--":
            options.command = rest
            break
        if name in _VALUES or name in _GOALS:
            if not equals and (not rest or rest[0] == "--"):
                raise Wrong(f"option '{name}' needs a value")
            _set(options, name, text if equals else rest.pop(0))
        elif name in _FLAGS:
            if equals:
                raise Wrong(f"option '{name}' takes no value")
            setattr(options, "json" if name == "--json" else "help", True)
        elif word.startswith("-"):
            raise Wrong(f"unknown option '{word}'; 'weft tune --help' lists them")
        else:
            raise Wrong(f"unexpected '{word}'; the command comes behind --")
    return options if options.help else _check(options)
