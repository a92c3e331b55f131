"""The tuner run on a fake program."""
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent.parent
FAKE = [sys.executable, "-S", "-E", str(Path(__file__).resolve().parent / "fake_program.py")]
sys.path[1:1] = [str(SOURCE / "tests" / "bench"), str(SOURCE / "bench"), str(SOURCE / "tuning")]
FEW = ("--gogc", "50,200,800", "--limits", "off")


class Scratch(tempfile.TemporaryDirectory):
    """A folder with the log of the fake's runs."""

    def __init__(self) -> None:
        super().__init__(prefix="weft-tune-test-")
        self.folder = Path(self.name)
        self.log = self.folder / "log"

    def __enter__(self):
        super().__enter__()
        return self

    def runs(self) -> list[list[str]]:
        return [line.split() for line in self.log.read_text().splitlines()] if self.log.exists() else []

    def environment(self, **more: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("WEFT_")}
        return {**kept, "FAKE_LOG": str(self.log), "PYTHONDONTWRITEBYTECODE": "1", **more}

    @contextlib.contextmanager
    def as_ours(self):
        """For what runs in this process."""
        before = dict(os.environ)
        os.environ["FAKE_LOG"] = str(self.log)
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


def line(*options: str, fake: tuple[str, ...] = ("optimum",)) -> list[str]:
    return [sys.executable, str(SOURCE / "tuning" / "tune" / "run.py"), "gc", *options, "--", *FAKE, *fake]


def tune(scratch: Scratch, *options: str, fake: tuple[str, ...] = ("optimum",), **environment: str):
    return subprocess.run(line(*options, fake=fake), capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL,
                          env=scratch.environment(**environment))


def tuned(scratch: Scratch, *options: str, fake: tuple[str, ...] = ("optimum",), status: int = 0, **environment: str) -> dict:
    done = tune(scratch, "--json", *options, fake=fake, **environment)
    if done.returncode != status:
        raise AssertionError(f"status {done.returncode}: {done.stderr}")
    return json.loads(done.stdout)


def named(report: dict, name: str) -> dict:
    return next(one for one in report["settings"] if one["name"] == name)


def verdicts(report: dict) -> dict[str, str]:
    return {v["measure"]: v["verdict"] for v in report["verdicts"]}
