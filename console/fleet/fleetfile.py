"""The fleet file: TOML read and checked, with every error named by file, line and key at once."""

from __future__ import annotations

import difflib
import json
import os
import re
import tempfile
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from console.fleet.model import Fleet, Jump, Node
from console.fleet.names import is_host, is_name, is_python, is_user

MIN_INTERVAL_S = 0.5
MAX_INTERVAL_S = 3600.0

_TOP_KEYS = ("name", "demo", "defaults", "node", "jump")
_JUMP_KEYS = tuple(f.name for f in fields(Jump))
_NODE_KEYS = tuple(f.name for f in fields(Node))
_DEFAULT_KEYS = tuple(k for k in _NODE_KEYS if k not in ("name", "host"))


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong in a fleet file. `line` is 1-based, 0 where it cannot be told."""

    path: str
    line: int
    key: str
    text: str
    suggestion: str = ""

    def __str__(self) -> str:
        where = f"{self.path}:{self.line}" if self.line else self.path
        key = f" {self.key}:" if self.key else ""
        return f"{where}:{key} {self.text}" + (f"; {self.suggestion}" if self.suggestion else "")


class FleetError(ValueError):
    """A fleet file that cannot be used; `faults` lists everything that is wrong with it."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("\n".join(str(f) for f in faults))
        self.faults = tuple(faults)


def read_fleet(path: Path) -> Fleet:
    """The fleet of a file.

    Raises:
        FleetError: it is missing, is no TOML, or has unknown keys or bad values.
    """
    try:
        raw = path.read_bytes()
    except OSError as exc:
        hint = "make one with: cardkeeper fleet import HOSTS -o " + str(path)
        raise FleetError([Fault(str(path), 0, "", f"cannot be read: {exc.strerror}", hint)]) from exc
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as exc:
        line = raw[: exc.start].count(b"\n") + 1
        raise FleetError([Fault(str(path), line, "", "is not UTF-8 text", "save it as UTF-8")]) from exc
    return parse_fleet(text, str(path))


def parse_fleet(text: str, path: str) -> Fleet:
    """The fleet of a text; `path` is for error messages and the fleet's name.

    Raises:
        FleetError: see `read_fleet`.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        found = re.search(r"at line (\d+), column \d+", str(exc))
        message = re.sub(r"\s*\(at .*\)$", "", str(exc))
        fault = Fault(path, int(found.group(1)) if found else 0, "", f"is not TOML: {message}")
        raise FleetError([fault]) from exc
    return _Reader(text, path, data).read()


class _Reader:
    def __init__(self, text: str, path: str, data: dict[str, Any]) -> None:
        self._lines = text.splitlines()
        self._path = path
        self._data = data
        self.faults: list[Fault] = []

    def read(self) -> Fleet:
        self._check_keys(self._data, _TOP_KEYS, "", -1)
        defaults = self._data.get("defaults", {})
        if not isinstance(defaults, dict):
            self._add(self._line_of("defaults", "", -1), "defaults", "must be a table: [defaults]")
            defaults = {}
        self._check_keys(defaults, _DEFAULT_KEYS, "defaults", -1)
        checked = self._values(defaults, "defaults", -1)
        jumps = tuple(j for i, t in enumerate(self._tables("jump")) if (j := self._jump(t, i)) is not None)
        nodes = tuple(n for i, t in enumerate(self._tables("node")) if (n := self._node(t, i, checked)) is not None)
        self._check_duplicates([n.name for n in nodes], "node")
        self._check_duplicates([j.name for j in jumps], "jump")
        self._check_jumps(nodes, {j.name for j in jumps})
        name = self._data.get("name", Path(self._path).stem)
        if not isinstance(name, str):
            self._add(self._line_of("name", "", -1), "name", "must be text")
        demo = self._data.get("demo", False)
        if not isinstance(demo, bool):
            self._add(self._line_of("demo", "", -1), "demo", "must be true or false")
        if self.faults:
            raise FleetError(sorted(self.faults, key=lambda f: f.line))
        return Fleet(name, self._path, nodes, jumps, demo)

    def _tables(self, kind: str) -> list[dict[str, Any]]:
        found = self._data.get(kind, [])
        if not isinstance(found, list) or not all(isinstance(t, dict) for t in found):
            self._add(self._line_of(kind, "", -1), kind, f"must be tables: [[{kind}]]")
            return []
        return found

    def _node(self, table: dict[str, Any], place: int, defaults: dict[str, Any]) -> Node | None:
        self._check_keys(table, _NODE_KEYS, "node", place)
        values = {**defaults, **self._values(table, "node", place)}
        return Node(**values) if self._is_whole(table, values, "node", place) else None

    def _jump(self, table: dict[str, Any], place: int) -> Jump | None:
        self._check_keys(table, _JUMP_KEYS, "jump", place)
        values = self._values(table, "jump", place)
        return Jump(**values) if self._is_whole(table, values, "jump", place) else None

    def _is_whole(self, table: dict[str, Any], values: dict[str, Any], section: str, place: int) -> bool:
        missing = [k for k in ("name", "host") if k not in table]
        if missing == ["host"] and isinstance(values.get("name"), str):
            values["host"], missing = values["name"], []
        for key in missing:
            self._add(self._header(section, place), key, f"[[{section}]] needs `{key}`")
        allowed = set(_NODE_KEYS if section == "node" else _JUMP_KEYS)
        return not missing and {"name", "host"} <= set(values) <= allowed

    def _check_keys(self, table: dict[str, Any], allowed: tuple[str, ...], section: str, place: int) -> None:
        for key in table:
            if key not in allowed:
                close = difflib.get_close_matches(key, allowed, 1, 0.6)
                hint = f"did you mean `{close[0]}`?" if close else f"known keys: {', '.join(allowed)}"
                self._add(self._line_of(key, section, place), key, "is not a known key", hint)

    def _values(self, table: dict[str, Any], section: str, place: int) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for key, value in table.items():
            check = _CHECKS.get(key)
            if check is None or (section in ("node", "jump") and key not in _NODE_KEYS):
                continue
            try:
                out[key] = check(value)
            except ValueError as exc:
                text, _, hint = str(exc).partition("; ")
                self._add(self._line_of(key, section, place), key, text, hint)
        return out

    def _check_duplicates(self, names: list[str], section: str) -> None:
        for place, name in enumerate(names):
            if name in names[:place]:
                line = self._line_of("name", section, place)
                self._add(line, "name", f"two {section}s are called {name}", "names must differ")

    def _check_jumps(self, nodes: tuple[Node, ...], known: set[str]) -> None:
        for place, node in enumerate(nodes):
            for name in node.jump:
                if name not in known:
                    close = difflib.get_close_matches(name, known, 1, 0.6)
                    hint = f"did you mean `{close[0]}`?" if close else f'add [[jump]] name = "{name}"'
                    line = self._line_of("jump", "node", place)
                    self._add(line, "jump", f"{node.name}: there is no jump called {name}", hint)

    def _add(self, line: int, key: str, text: str, hint: str = "") -> None:
        self.faults.append(Fault(self._path, line, key, text, hint))

    def _header(self, section: str, place: int) -> int:
        seen = -1
        for number, line in enumerate(self._lines, 1):
            if re.match(rf"\s*\[{{1,2}}\s*{re.escape(section)}\s*\]{{1,2}}", line):
                seen += 1
                if place in (-1, seen):
                    return number
        return 0

    def _line_of(self, key: str, section: str, place: int) -> int:
        """The line of a key in the `place`-th table of a section; tomllib keeps no positions."""
        start = self._header(section, place) if section else 0
        pattern = re.compile(rf"""(^|[\s;{{,])["']?{re.escape(key)}["']?\s*[=.]|^\s*\[+\s*{re.escape(key)}\b""")
        for number, line in enumerate(self._lines[start:], start + 1):
            if section and re.match(r"\s*\[", line):
                break
            if pattern.search(line.split("#", 1)[0]):
                return number
        return start


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value or len(value) > 1024:
        raise ValueError("must be a text that is not empty")
    return value


def _name(value: Any) -> str:
    if not is_name(_text(value)):
        raise ValueError(
            f"{value!r} is not a name; use letters, digits, dot, dash and underscore, a letter or digit first"
        )
    return str(value)


def _host(value: Any) -> str:
    if not is_host(_text(value)):
        raise ValueError(f"{value!r} is not a host name or address")
    return str(value)


def _user(value: Any) -> str:
    if not is_user(_text(value)):
        raise ValueError(f"{value!r} is not a login name")
    return str(value)


def _python(value: Any) -> str:
    if not is_python(_text(value)):
        raise ValueError(f'{value!r} is not an interpreter; a path such as "python3" or "/usr/bin/python3.9"')
    return str(value)


def _port(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 65536:
        raise ValueError(f"{value!r} is not a port; a whole number from 1 to 65535")
    return value


def _interval(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value == value:
        raise ValueError(f"{value!r} is not a number of seconds")
    if not MIN_INTERVAL_S <= value <= MAX_INTERVAL_S:
        raise ValueError(f"{value} s is outside {MIN_INTERVAL_S} to {MAX_INTERVAL_S:.0f} s; 1.0 suits most fleets")
    return float(value)


def _jump(value: Any) -> tuple[str, ...]:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list):
        raise ValueError('must be a list of jump names; jump = ["bastion"]')
    return tuple(_name(n) for n in names)


def _labels(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
        raise ValueError('must be texts by name; labels = {room = "b2"}')
    return dict(value)


def _tag(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 256:
        raise ValueError("must be text")
    return value


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "name": _name,
    "host": _host,
    "user": _user,
    "port": _port,
    "identity": _text,
    "known_hosts": _text,
    "interval_s": _interval,
    "jump": _jump,
    "python": _python,
    "region": _tag,
    "rack": _tag,
    "supplier": _tag,
    "scheduler": _tag,
    "scheduler_via": _tag,
    "scheduler_name": _tag,
    "labels": _labels,
}


def _quoted(text: object) -> str:
    """A TOML value. JSON's string escapes are TOML's but for surrogate pairs and DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def node_block(node: Node) -> str:
    """A node as TOML; what equals the default is left out."""
    lines = ["[[node]]", f"name = {_quoted(node.name)}", f"host = {_quoted(node.host)}"]
    for key in (
        "port", "user", "identity", "known_hosts", "region", "rack", "supplier", "scheduler", "scheduler_via",
        "scheduler_name",
    ):  # fmt: skip
        value = getattr(node, key)
        if value not in (None, ""):
            lines.append(f"{key} = {_quoted(value)}")
    if node.interval_s != 1.0:
        lines.append(f"interval_s = {node.interval_s}")
    if node.jump:
        names = ", ".join(_quoted(j) for j in node.jump)
        lines.append(f"jump = [{names}]")
    if node.python != "python3":
        lines.append(f"python = {_quoted(node.python)}")
    if node.labels:
        lines.append("labels = {" + ", ".join(f"{_quoted(k)} = {_quoted(v)}" for k, v in node.labels.items()) + "}")
    return "\n".join(lines) + "\n"


def append_node(path: Path, node: Node) -> None:
    """Add a node to a fleet file, leaving everything else in it as it is. The file is replaced atomically.

    Raises:
        FleetError: the file would not be good afterwards (a name twice, an unknown jump, ...).
        OSError: it cannot be written.
    """
    old = path.read_text("utf-8") if path.exists() else ""
    gap = "" if not old else "\n" if old.endswith("\n") else "\n\n"
    text = old + gap + node_block(node)
    parse_fleet(text, str(path))
    write_atomically(path, text)


def write_atomically(path: Path, text: str) -> None:
    """Replace a file's text at once, keeping its mode.

    Raises:
        OSError: it cannot be written; the old file stands.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
    fd, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, mode)
        os.replace(temporary, path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise
