"""Other tools' inventories as nodes: Ansible INI and YAML, and plain host lists."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from console.fleet.model import Node
from console.fleet.names import is_host, is_name, is_user

MAX_RANGE = 10_000
_RANGE = re.compile(r"\[([^\[\]]*)\]")


class InventoryError(ValueError):
    """A file that is no inventory at all."""


@dataclass(slots=True)
class Imported:
    """What was read.

    Attributes:
        nodes: in the file's order, names unique.
        warnings: what was not understood, each with its line where there is one.
    """

    nodes: list[Node] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def add(self, name: str, variables: dict[str, Any], group: str, where: str) -> None:
        """Add a host with its Ansible variables; refused with a warning when it cannot be a node."""
        host = str(variables.get("ansible_host", name))
        if not is_host(host) or not is_name(name):
            self.warnings.append(f"{where}: {name!r} is not a host name; left out")
            return
        labels = {"group": group} if group and group not in ("all", "ungrouped") else {}
        node = Node(name, host, labels=labels)
        port = str(variables.get("ansible_port", ""))
        if port.isdigit() and 0 < int(port) < 65536:
            node = replace(node, port=int(port))
        user = str(variables.get("ansible_user", ""))
        if user and is_user(user):
            node = replace(node, user=user)
        key = variables.get("ansible_ssh_private_key_file")
        if isinstance(key, str) and key and "{{" not in key:
            node = replace(node, identity=key)
        if any(n.name == name for n in self.nodes):
            return
        self.nodes.append(node)


def read_inventory(path: Path) -> Imported:
    """The nodes of an inventory file; the format is told by its name and its look.

    Raises:
        InventoryError: it is none.
        OSError: it cannot be read.
    """
    text = path.read_text("utf-8", "replace")
    if path.suffix in (".yml", ".yaml"):
        return parse_yaml(text, path.name)
    if path.suffix in (".ini", ".cfg") or re.search(r"^\s*\[[^\]]+\]\s*$|\bansible_\w+=", text, re.MULTILINE):
        return parse_ini(text, path.name)
    return parse_hosts(text, path.name)


def expand(pattern: str) -> Iterator[str]:
    """The names of `gpu[01:16]`, `gpu[01-16]`, `gpu[1,3,7]`, `rack[a:c]`; the pattern itself where there is no range.

    Raises:
        InventoryError: a range that is none, or more than MAX_RANGE names.
    """
    found = _RANGE.search(pattern)
    if found is None:
        yield pattern
        return
    made = 0
    for part in _parts(found.group(1), pattern):
        for name in expand(pattern[: found.start()] + part + pattern[found.end() :]):
            made += 1
            if made > MAX_RANGE:
                raise InventoryError(f"{pattern}: more than {MAX_RANGE} names")
            yield name


def _parts(body: str, pattern: str) -> Iterator[str]:
    for piece in body.split(","):
        bounds = re.fullmatch(r"(\d+)[:-](\d+)(?::(\d+))?", piece)
        letters = re.fullmatch(r"([a-z]):([a-z])", piece)
        if bounds is not None:
            first, last, step = int(bounds[1]), int(bounds[2]), int(bounds[3] or 1)
            if last < first or step < 1 or (last - first) // step >= MAX_RANGE:
                raise InventoryError(f"{pattern}: {piece} is not a range")
            for number in range(first, last + 1, step):
                yield str(number).zfill(len(bounds[1]) if bounds[1].startswith("0") else 1)
        elif letters is not None:
            for code in range(ord(letters[1]), ord(letters[2]) + 1):
                yield chr(code)
        elif re.fullmatch(r"[A-Za-z0-9]+", piece):
            yield piece
        else:
            raise InventoryError(f"{pattern}: [{body}] is not a range")


def parse_hosts(text: str, name: str) -> Imported:
    """A plain list: one `[user@]host[:port]` a line, ranges allowed, # comments."""
    out = Imported()
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split("#", 1)[0].split()
        if not words:
            continue
        where = f"{name} line {number}"
        if len(words) > 1:
            out.warnings.append(f"{where}: only the first word is read")
        user, _, rest = words[0].rpartition("@")
        ported = re.fullmatch(r"(.*[^:\]]|.*\])(?::(\d+))", rest) if rest.count(":") == 1 or "]" in rest else None
        host, port = (ported[1], ported[2]) if ported is not None and "[" not in ported[0][-4:] else (rest, "")
        try:
            for one in expand(host):
                out.add(one, {"ansible_user": user, "ansible_port": port}, "", where)
        except InventoryError as exc:
            out.warnings.append(f"{where}: {exc}")
    return out


def parse_ini(text: str, name: str) -> Imported:
    """An Ansible INI inventory: hosts with variables, groups, :vars and :children."""
    out = Imported()
    hosts: list[tuple[str, dict[str, Any], str, str]] = []
    group_vars: dict[str, dict[str, Any]] = {}
    parents: dict[str, list[str]] = {}
    section, kind = "ungrouped", "hosts"
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        where = f"{name} line {number}"
        if not line or line.startswith(("#", ";")):
            continue
        header = re.fullmatch(r"\[([^\]:]+)(?::(vars|children|hosts))?\]\s*(?:[#;].*)?", line)
        if header is not None:
            section, kind = header[1], header[2] or "hosts"
        elif kind == "vars":
            key, found, value = line.partition("=")
            if found:
                group_vars.setdefault(section, {})[key.strip()] = value.strip().strip("'\"")
        elif kind == "children":
            parents.setdefault(line.split()[0], []).append(section)
        else:
            _host_line(line, section, where, hosts, out)
    for host, variables, group, where in hosts:
        inherited: dict[str, Any] = dict(group_vars.get("all", {}))
        for outer in reversed(_lineage(group, parents)):
            inherited |= group_vars.get(outer, {})
        out.add(host, inherited | variables, group, where)
    return out


def _host_line(line: str, group: str, where: str, hosts: list[Any], out: Imported) -> None:
    try:
        words = shlex.split(line, comments=True)
    except ValueError as exc:
        out.warnings.append(f"{where}: {exc}")
        return
    if not words:
        return
    variables = dict(w.split("=", 1) for w in words[1:] if "=" in w)
    try:
        for host in expand(words[0]):
            hosts.append((host, variables, group, where))
    except InventoryError as exc:
        out.warnings.append(f"{where}: {exc}")


def _lineage(group: str, parents: dict[str, list[str]]) -> list[str]:
    out = [group]
    for name in out:
        out += [p for p in parents.get(name, []) if p not in out]
    return out


def parse_yaml(text: str, name: str) -> Imported:
    """An Ansible YAML inventory.

    Raises:
        InventoryError: it is no YAML or no inventory.
    """
    try:
        data = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as exc:
        raise InventoryError(f"{name} is not YAML: {exc}") from exc
    if not isinstance(data, dict):
        raise InventoryError(f"{name} has no groups")
    out = Imported()
    for group, body in data.items():
        _yaml_group(str(group), body, {}, out, name, 0)
    return out


def _yaml_group(group: str, body: Any, inherited: dict[str, Any], out: Imported, name: str, depth: int) -> None:
    if body is None or depth > 20:
        return
    if not isinstance(body, dict):
        out.warnings.append(f"{name}: group {group} is not a table; left out")
        return
    own = body.get("vars")
    variables = {**inherited, **(own if isinstance(own, dict) else {})}
    hosts = body.get("hosts")
    for host, extra in (hosts if isinstance(hosts, dict) else {}).items():
        try:
            for one in expand(str(host)):
                out.add(one, {**variables, **(extra if isinstance(extra, dict) else {})}, group, f"{name}: {group}")
        except InventoryError as exc:
            out.warnings.append(f"{name}: {exc}")
    children = body.get("children")
    for child, inner in (children if isinstance(children, dict) else {}).items():
        _yaml_group(str(child), inner, variables, out, name, depth + 1)


__all__ = ["Imported", "InventoryError", "expand", "parse_hosts", "parse_ini", "parse_yaml", "read_inventory"]
