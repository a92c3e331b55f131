"""The machine and what is measured with on it: cores, kernel, settings that move results, weft's own tools."""
import json
import os
import platform
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Bench:
    """What every measurement needs to know."""
    build: Path
    cpus: list[int]  # those the driver may use; the first serves, the second loads
    weft: str  # path of the weft command, empty when it is not built
    guard: Path
    realtime_why_not: str  # empty: real-time runs are to be had

    @property
    def server_cpu(self) -> int:
        return self.cpus[0]

    @property
    def load_cpu(self) -> int:
        return self.cpus[1 if len(self.cpus) > 1 else 0]


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return None


def _field(text: str | None, name: str) -> str | None:
    m = re.search(rf"^{re.escape(name)}\s*:\s*(.*)$", text or "", re.M)
    return m[1] if m else None


def _chosen(text: str | None) -> str | None:
    """The word in brackets of `always [madvise] never`."""
    m = re.search(r"\[(\S+)\]", text or "")
    return m[1] if m else text


def _command(*argv: str) -> str | None:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


def _flavour(build: Path) -> dict[str, str]:
    try:
        options = json.loads((build / "meson-info" / "intro-buildoptions.json").read_text())
    except (OSError, ValueError):
        return {}
    return {o["name"]: str(o["value"]) for o in options if o["name"] in ("optimization", "b_sanitize", "buildtype")}


def unoptimised(build: Path) -> str:
    """Why this build's numbers would mean nothing; empty when they mean something."""
    flavour = _flavour(build)
    if flavour.get("optimization") in ("0", "g", "plain"):
        return f"{build} is built without optimisation"
    if flavour.get("b_sanitize", "none") not in ("none", "", "[]"):
        return f"{build} is built with a sanitizer"
    return ""


# What stands behind weft's claim to know such machines, wherever this report comes from.
PLACEMENT = ("how weft places its Ps on several NUMA nodes, on several threads a core and on cores of unequal caches or kinds "
             "was tested on simulated topologies only")


def describe(bench: Bench, source: Path) -> dict:
    cpuinfo, meminfo, release = _read("/proc/cpuinfo"), _read("/proc/meminfo"), _read("/etc/os-release")
    memory = _field(meminfo, "MemTotal")
    first = f"/sys/devices/system/cpu/cpu{bench.server_cpu}"
    clock = "/sys/devices/system/clocksource/clocksource0/current_clocksource"
    git = _command("git", "-C", str(source), "describe", "--always", "--dirty", "--abbrev=12")
    return {
        "cpu": _field(cpuinfo, "model name") or platform.machine(),
        "architecture": platform.machine(),
        "cpus_online": os.cpu_count(), "cpus_used": bench.cpus,
        "same_core": _read(f"{first}/topology/thread_siblings_list"),
        "memory_gib": round(int(memory.split()[0]) / 2 ** 20, 1) if memory else None,
        "kernel": platform.release(), "system": (_field_eq(release, "PRETTY_NAME") or platform.system()),
        "virtual": _command("systemd-detect-virt") or ("yes" if "hypervisor" in (cpuinfo or "") else "no"),
        "clocksource": _read(clock), "governor": _read(f"{first}/cpufreq/scaling_governor"),
        "transparent_hugepages": _chosen(_read("/sys/kernel/mm/transparent_hugepage/enabled")),
        "rt_runtime_us": _read("/proc/sys/kernel/sched_rt_runtime_us"),
        "mitigations": _read("/sys/devices/system/cpu/vulnerabilities/spectre_v2"),
        "load_average_before": round(os.getloadavg()[0], 2),
        "placement": PLACEMENT, "weft_commit": git, "weft_build": _flavour(bench.build),
    }


def _field_eq(text: str | None, name: str) -> str | None:
    m = re.search(rf'^{re.escape(name)}="?([^"\n]*)', text or "", re.M)
    return m[1] if m else None


def weft_version(weft: str) -> str:
    said = _command(weft, "version") if weft else None
    return said.splitlines()[0] if said else ""
