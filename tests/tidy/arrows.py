"""Who includes whom. The table in docs/architecture.md is the rule, so that the document and the check cannot part.

A row is who includes, a column what is included. A cell is empty (no), `self`, `yes` or `everything` (any header), or
a list of headers. An arrow that nothing uses is a finding too: the table says what is, not what might be.
"""
import re
from pathlib import Path

import tree

TABLE = Path("docs/architecture.md")
SOURCES = {".c", ".h", ".cc", ".S"}
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">]', re.M)
PUBLIC = "include/weft"
ANY = ("self", "yes", "everything")


def read_table(words: str) -> tuple[dict[str, dict[str, list[str]]], list[str]]:
    """{who: {what: cell's words}}, and the columns. The table is the one whose first heading is `who`."""
    rows: dict[str, dict[str, list[str]]] = {}
    columns: list[str] = []
    for line in words.splitlines():
        cells = [re.sub(r"[`*]", "", c).strip() for c in line.strip().strip("|").split("|")]
        if not line.startswith("|"):
            if rows:
                break
            columns = []
        elif not columns:
            columns = cells[1:] if cells[0].startswith("who") else []
        elif not set("".join(cells)) <= set("-: "):
            rows[cells[0]] = {column: [w.strip() for w in cell.split(",") if w.strip()]
                              for column, cell in zip(columns, cells[1:])}
    return rows, columns


def folder_of(path: Path) -> str:
    return PUBLIC if path.parts[0] == "include" else path.parts[0]


def allowed(cell: list[str], what: str, header: str) -> bool:
    """header: its path below the folder. A cell names it with or without .h, and may name the folder as well."""
    name = header.removesuffix(".h")
    return bool(cell) and (cell[0] in ANY or name in [w.removesuffix(".h").removeprefix(what + "/") for w in cell])


def checks(root: Path, files: list[Path]) -> list[tuple[str, list[str]]]:
    try:
        rows, columns = read_table((root / TABLE).read_text())
    except OSError:
        rows, columns = {}, []
    if not rows:
        return [("arrows", [f"{TABLE}: no table of arrows: its first heading is `who`"])]
    results, used = [], set()
    folders = sorted({p.parts[0] for p in files if len(p.parts) > 1} - {"include"})
    for path in files:
        if path.suffix not in SOURCES or len(path.parts) < 2:
            continue
        who, findings = folder_of(path), []
        if who not in rows:
            findings.append(f"{who} has no row in the table of {TABLE}")
        for match in INCLUDE.finditer(tree.text(root, path) or ""):
            kind, target = match.groups()
            what, _, header = target.partition("/")
            if what == "weft" and header and kind == "<":
                continue
            if what not in folders or not header:
                if kind == '"':
                    findings.append(f'"{target}" is not written "folder/file.h"')
                continue
            used |= {(who, what, header.removesuffix(".h")), (who, what, "")}
            if kind == "<":
                findings.append(f'<{target}> is written "{target}"')
            if who in rows and not allowed(rows[who].get(what, []), what, header):
                findings.append(f"{who} may not include {target}")
        results.append((f"arrows {path}", findings))
    results.append((f"arrows {TABLE}", list(unused(rows, columns, folders, used))))
    return results


def unused(rows, columns, folders, used):
    for what in columns:
        if what not in folders:
            yield f"the column {what} is no folder"
    for who, row in rows.items():
        if who not in folders and who != PUBLIC:
            yield f"the row {who} is no folder"
        for what, cell in row.items():
            for word in cell:
                name = "" if word in ANY else word.removesuffix(".h").removeprefix(what + "/")
                if word != "everything" and (who, what, name) not in used:
                    yield f"{who} includes nothing of {what} that the cell '{word}' would be for"
