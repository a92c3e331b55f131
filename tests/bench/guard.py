#!/usr/bin/env python3
"""The real-time watchdog: whatever dies, the setting comes back and the watched groups are gone."""
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import fakes
import tap

GUARD = Path(os.environ.get("WEFTTEST_GUARD", fakes.SOURCE / "build" / "bench" / "guard"))
KERNEL_SETTING = Path("/proc/sys/kernel/sched_rt_runtime_us")


class Watched:
    """A guard over a setting in a file, so that neither privileges nor the kernel's value are needed."""

    def __init__(self, root: str, deadline: float = 30, setting: Path | None = None, priority: int = 0) -> None:
        self.setting = setting or Path(root) / "setting"
        if not setting:
            self.setting.write_text("950000\n")
        self.child = subprocess.Popen(
            [str(GUARD), "--deadline", str(deadline), "--priority", str(priority), "--setting", str(self.setting),
             "--lock", f"weft-test-{os.getpid()}-{os.path.basename(root)}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, process_group=0)
        self.answer = self.child.stdout.readline().strip()
        self.twin = int(self.answer.split("twin=")[1]) if "twin=" in self.answer else 0
        self.victim: subprocess.Popen | None = None

    def watch_victim(self) -> None:
        self.victim = subprocess.Popen(["sleep", "600"], process_group=0)
        self.child.stdin.write(f"add {self.victim.pid}\n")
        self.child.stdin.flush()

    def all_is_well(self) -> bool:
        gone = self.victim is None or self.victim.poll() is not None
        return gone and self.setting.read_text().strip() == "950000"

    def close(self) -> None:
        self.child.stdin.close()
        self.child.stdout.close()
        for pid in (self.child.pid, self.twin, self.victim.pid if self.victim else 0):
            if pid:
                fakes.kill(pid)
        self.child.wait()
        if self.victim:
            self.victim.wait()


def eventually(condition) -> bool:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.01)
    return False


def scenario(act, deadline: float = 30) -> None:
    with fakes.scratch() as root:
        watched = Watched(root, deadline)
        try:
            tap.check(watched.answer.startswith("realtime"), watched.answer)
            tap.equal(watched.setting.read_text().strip(), "-1")
            watched.watch_victim()
            time.sleep(0.05)
            tap.check(watched.victim.poll() is None, "the victim lives until something happens")
            act(watched)
            tap.check(eventually(watched.all_is_well), f"setting {watched.setting.read_text()!r}, "
                      f"victim {watched.victim.poll()}")
            tap.check(eventually(lambda: not fakes.alive(watched.twin)), "the twin stayed")
        finally:
            watched.close()


def test_a_closed_pipe_restores_and_kills():
    scenario(lambda w: w.child.stdin.close())


def test_the_word_end_restores_and_kills():
    def act(w):
        w.child.stdin.write("end\n")
        w.child.stdin.flush()
    scenario(act)


def test_the_deadline_restores_and_kills():
    scenario(lambda w: None, deadline=0.5)


def test_when_the_guard_is_killed_its_twin_restores():
    scenario(lambda w: fakes.kill(w.child.pid))


def test_when_the_twin_is_killed_the_guard_restores():
    scenario(lambda w: fakes.kill(w.twin))


def test_a_terminated_guard_restores_too():
    scenario(lambda w: os.kill(w.child.pid, signal.SIGTERM))


def test_a_dropped_group_is_left_alone():
    with fakes.scratch() as root:
        watched = Watched(root)
        try:
            watched.watch_victim()
            watched.child.stdin.write(f"drop {watched.victim.pid}\n")
            watched.child.stdin.close()
            watched.child.wait(timeout=20)
            tap.equal(watched.setting.read_text().strip(), "950000")
            tap.check(watched.victim.poll() is None, "a dropped group was killed")
        finally:
            watched.close()


def test_a_second_guard_stands_by():
    with fakes.scratch() as root:
        first = Watched(root)
        second = Watched(root, setting=first.setting)
        try:
            tap.equal(second.answer, "ordinary: another guard is at work")
            second.child.stdin.close()
            second.child.wait(timeout=20)
            tap.equal(first.setting.read_text().strip(), "-1")
        finally:
            second.close()
            first.close()


def test_a_setting_that_is_not_there_is_said():
    with fakes.scratch() as root:
        watched = Watched(root, setting=Path(root) / "nowhere")
        try:
            tap.equal(watched.answer, "ordinary: the real-time throttle cannot be read")
        finally:
            watched.close()


def test_wrong_usage_is_one_line_and_status_2():
    for argv in ([], ["--deadline", "x"], ["--nonsense"], ["--deadline", "1", "more"]):
        done = subprocess.run([str(GUARD), *argv], capture_output=True, text=True, stdin=subprocess.DEVNULL)
        tap.equal((done.returncode, done.stderr.count("\n"), done.stdout), (2, 1, ""))


def test_the_kernel_setting_comes_back_when_the_driver_is_killed():
    """The real thing: real priority, the kernel's own setting, a driver that dies of SIGKILL."""
    if os.geteuid() != 0 or not os.access(KERNEL_SETTING, os.W_OK):
        raise tap.Skip("needs privileges")
    before = KERNEL_SETTING.read_text()
    if before.strip() == "-1":
        raise tap.Skip("the real-time throttle is off already")
    driver = f"""
import sys, time
sys.path.insert(0, {str(fakes.SOURCE / 'bench')!r})
from pathlib import Path
from suite import guard, process
with guard.realtime(Path({str(GUARD)!r}), 30):
    child = process.start(["sleep", "600"], [0], guard.MEASURED)
    print(child.pid, flush=True)
    time.sleep(600)
"""
    child = subprocess.Popen([sys.executable, "-c", driver], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    said = child.stdout.readline()
    try:
        if not said and "another guard" in child.communicate()[1]:
            raise tap.Skip("a bench is under way on this machine")
        tap.equal(KERNEL_SETTING.read_text().strip(), "-1")
        child.kill()
        tap.check(eventually(lambda: KERNEL_SETTING.read_text() == before), "the throttle stayed off")
        tap.check(eventually(lambda: not fakes.alive(int(said))), "the measured process stayed")
    finally:
        child.kill()
        child.communicate()


if __name__ == "__main__":
    tap.main(globals())
