"""The files of the tree: those that git knows or would take, or, without git, all but the build's."""
import subprocess
from pathlib import Path

NOT_OURS = {".git", "build", "__pycache__", "target"}


def files(root: Path) -> list[Path]:
    """Paths relative to root, sorted."""
    try:
        listed = subprocess.run(["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard",
                                 "--", "."], capture_output=True, check=True, text=True).stdout
        found = [Path(name) for name in listed.split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        found = [p.relative_to(root) for p in root.rglob("*")]
        found = [p for p in found if not NOT_OURS & set(p.parts)]
    return sorted({p for p in found if (root / p).is_file()})


def text(root: Path, path: Path) -> str | None:
    """None: it is not text."""
    try:
        words = (root / path).read_bytes().decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in words else words
