"""A heap dump as the program wrote it (weft_heap_dump): docs/gc.md has its lines."""
from dataclasses import dataclass, field
from pathlib import Path

from suite.program import Wrong

WORD = 8


@dataclass
class Object:
    size: int
    kind: str
    targets: tuple[int, ...]


@dataclass
class Heap:
    objects: dict[int, Object] = field(default_factory=dict)  # by address, from the beginning of the heap
    holders: list[tuple[str, tuple[int, ...]]] = field(default_factory=list)  # what objects are kept by, and which


@dataclass(frozen=True)
class _Type:
    name: str
    size: int
    shape: str
    scan: str | None


def _fields(words: list[str]) -> dict[str, str]:
    return dict(word.partition("=")[::2] for word in words if "=" in word)


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise ValueError(text)
    return int(text)


def _address(text: str) -> int:
    if not text or text.strip("0123456789abcdef"):
        raise ValueError(text)
    return int(text, 16)


def _pointers(text: str) -> tuple[int, ...]:
    return tuple(dict.fromkeys(map(_address, text.split())))


class _Reader:
    def __init__(self) -> None:
        self.heap = Heap()
        self.types: list[_Type] = []
        self.names: dict[tuple[str, int, str | None], str] = {}
        self.base = self.slot = 0
        self.shape = ""
        self.ended: int | None = None  # after so many objects

    def _name(self, scan: str | None) -> str:
        """Of objects in such slots: types that share a shape and a size share the name."""
        key = (self.shape, self.slot, scan)
        if key not in self.names:
            like = [t for t in self.types if t.shape == self.shape and t.scan == scan and t.size <= self.slot]
            most = max((t.size for t in like), default=0)
            alone = self.slot < 2 * most or self.shape == "conservative"
            like = [t for t in like if t.size == most and (self.shape != "leaf" or self.slot <= most + most // 8 + WORD)]
            names = "|".join(sorted({t.name for t in like}))
            self.names[key] = (names if alone else names + "[]") if names else f"{self.shape} of {self.slot}"
        return self.names[key]

    def _type(self, rest: str) -> None:
        words = rest.partition(" at ")[0].split()
        given = _fields(words[1:])
        self.types.append(_Type(words[0], _number(given["size"]), given["shape"], given.get("scan")))

    def _span(self, rest: str) -> None:
        words = rest.split()
        given = _fields(words)
        self.base, self.slot, self.shape = _address(words[0]), _number(given["slot"]), given["shape"]

    def _object(self, rest: str) -> None:
        head, _, targets = rest.partition(" >")
        words = head.split()
        address = self.base + _number(words[0]) * self.slot
        kind = self._name(_fields(words[1:]).get("type"))
        self.heap.objects[address] = Object(self.slot, kind, _pointers(targets))

    def line(self, text: str) -> None:
        word, _, rest = text.partition(" ")
        if word == "o":
            self._object(rest)
        elif word == "span":
            self._span(rest)
        elif word == "type":
            self._type(rest)
        elif word == "end":
            self.ended = _number(_fields(rest.split())["objects"])
        elif word in ("root", "goroutine", "thread", "held"):
            who, arrow, targets = rest.rpartition(" >")
            if not arrow:
                raise ValueError(text)
            self.heap.holders.append((f"{word} {who}", _pointers(targets)))
        else:
            raise ValueError(text)


def read(path: Path) -> Heap:
    reader = _Reader()
    number = 1
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            if file.readline() != "weft heap 1\n":
                raise Wrong(f"{path}: no heap dump of this version")
            for number, text in enumerate(file, 2):
                if not text.endswith("\n"):
                    break
                reader.line(text.removesuffix("\n"))
    except OSError as error:
        raise Wrong(f"{path}: {error.strerror}") from None
    except (ValueError, KeyError, IndexError):
        raise Wrong(f"{path}, line {number}: cannot be read") from None
    if reader.ended != len(reader.heap.objects):
        raise Wrong(f"{path}: it ends before its end: the program could not write all of it")
    return reader.heap
