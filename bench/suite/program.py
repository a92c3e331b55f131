"""What stands around the work of a program: wrong usage, interruption, a pipe that is gone, children that must not stay."""
import os
import re
import signal
import sys
from collections.abc import Callable

from suite import process


class Wrong(Exception):
    """A wrong option or value: one line, status 2."""

    def __str__(self) -> str:
        return re.sub(r"[\x00-\x1f\x7f]", "?", super().__str__())


class Interrupted(BaseException):
    """SIGINT or SIGTERM."""


def interrupt(signo: int, frame) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Interrupted


def main(name: str, run: Callable[[list[str]], int]) -> int:
    """The status to end with: run's, 1 for what went wrong, 2 for wrong usage; each with one line on stderr."""
    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, interrupt)
    try:
        return run(sys.argv[1:])
    except Wrong as wrong:
        print(f"{name}: {wrong}", file=sys.stderr)
        return 2
    except process.Failed as failed:
        print(f"{name}: {failed}", file=sys.stderr)
        return 1
    except Interrupted:
        print(f"{name}: interrupted before anything was measured", file=sys.stderr)
        return 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    except OSError as error:
        print(f"{name}: {error.filename or 'standard output'}: {error.strerror}", file=sys.stderr)
        return 1
    finally:
        process.kill_all()
