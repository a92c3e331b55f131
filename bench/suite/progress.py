"""What the user sees on stderr while it runs: one line that moves on a terminal, one line a row elsewhere."""
import sys
import time


def clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


class Progress:
    """Holds when it began and what was estimated."""

    def __init__(self, rows: int, estimate_s: float) -> None:
        self.rows, self.estimate_s, self.began = rows, estimate_s, time.monotonic()
        self.moving = sys.stderr.isatty()

    def run(self, number: int, row: str, round_number: int, rounds: int, label: str) -> None:
        if self.moving:
            spent = time.monotonic() - self.began
            line = (f"[{number}/{self.rows}] {row}  round {round_number}/{rounds}  {label}  "
                    f"{clock(spent)} of about {clock(self.estimate_s)}")
            sys.stderr.write("\r\x1b[K" + line[:99])
            sys.stderr.flush()

    def row(self, number: int, row: str, words: str) -> None:
        if not self.moving:
            spent = time.monotonic() - self.began
            print(f"bench: [{number}/{self.rows}] {row} {words} ({clock(spent)})", file=sys.stderr, flush=True)

    def clear(self) -> None:
        if self.moving:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
