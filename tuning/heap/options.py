"""The command line of `weft heap`."""
from dataclasses import dataclass
from pathlib import Path

from suite.program import Wrong

HELP = """usage: weft heap FILE [OPTION ...]

Says what a heap dump (weft_heap_dump) has: of each type how many objects live and how many bytes they take, and what is
garbage. Types that have the same size and pointers cannot be told apart, and stand together, as in a|b.

  --diff OLD      what has changed since that dump
  --why TYPE      the shortest way from what keeps it to an object of the type; or to the one at an address, as in 0x1a40
  --top N         types to list, the largest first (20)
  --json          the result as JSON on stdout
  --help          this text

Ends with 0 done, 1 what --why asks for is kept by nothing, 2 wrong usage.
"""


@dataclass
class Options:
    file: Path | None = None
    old: Path | None = None
    why: str | None = None
    top: int = 20
    json: bool = False
    help: bool = False


def _top(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 10**6:
        raise Wrong(f"--top '{text}': want a whole number from 1 to 1000000")
    return int(text)


def _set(options: Options, name: str, text: str) -> None:
    if not text:
        raise Wrong(f"option '{name}' needs a value")
    if name == "--top":
        options.top = _top(text)
    elif name == "--diff":
        options.old = Path(text)
    else:
        options.why = text


def parse(argv: list[str]) -> Options:
    options, rest = Options(), list(argv)
    while rest:
        word = rest.pop(0)
        name, equals, text = word.partition("=")
        if name in ("--diff", "--why", "--top"):
            if not equals and not rest:
                raise Wrong(f"option '{name}' needs a value")
            _set(options, name, text if equals else rest.pop(0))
        elif word == "--json":
            options.json = True
        elif word in ("--help", "-h"):
            options.help = True
        elif word.startswith("-"):
            raise Wrong(f"unknown option '{word}'; 'weft heap --help' lists them")
        elif options.file:
            raise Wrong(f"unexpected '{word}'; one file is read, and --diff names another")
        else:
            options.file = Path(word)
    if not options.file and not options.help:
        raise Wrong("no file: weft heap FILE [OPTION ...]")
    if options.old and options.why:
        raise Wrong("--diff and --why: one at a time")
    return options
