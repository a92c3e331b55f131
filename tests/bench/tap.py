"""The harness of the Python tests: functions named test_* become TAP lines; `Skip` says what is missing."""
import sys
import traceback


class Skip(Exception):
    """The platform lacks what the test needs."""


def check(condition, words="") -> None:
    if not condition:
        raise AssertionError(words)


def equal(got, want) -> None:
    if got != want:
        raise AssertionError(f"got {got!r}, not {want!r}")


def main(namespace: dict) -> None:
    tests = {name.removeprefix("test_"): f for name, f in namespace.items() if name.startswith("test_")}
    if sys.argv[1:] == ["--list"]:
        print("\n".join(tests))
        sys.exit(0)
    chosen = {n: f for n, f in tests.items() if not sys.argv[1:] or n in sys.argv[1:]}
    print(f"1..{len(chosen)}", flush=True)
    failed = 0
    for number, (name, test) in enumerate(chosen.items(), 1):
        try:
            test()
            print(f"ok {number} {name}", flush=True)
        except Skip as why:
            print(f"ok {number} {name} # SKIP {why}", flush=True)
        except Exception as error:
            failed += 1
            traceback.print_exc()
            words = " ".join(str(error).split())[:300] or type(error).__name__
            print(f"not ok {number} {name} # {words}", flush=True)
    sys.exit(1 if failed else 0)
