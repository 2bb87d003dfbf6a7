"""Which names of nodes, hosts and interpreters we let near an SSH configuration or a remote command."""

from __future__ import annotations

import ipaddress
import re

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")
PYTHON = re.compile(r"[A-Za-z0-9._/+-]{1,256}")
USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@\\-]{0,63}\$?")


def is_name(text: str) -> bool:
    """Whether `text` may name a node, a jump or a host alias."""
    return NAME.fullmatch(text) is not None


def is_host(text: str) -> bool:
    """Whether `text` is a host name, an alias or an IP address (no brackets, no zone with shell characters)."""
    if is_name(text):
        return True
    try:
        ipaddress.ip_address(text.split("%", 1)[0])
    except ValueError:
        return False
    zone = text.partition("%")[2]
    return not zone or is_name(zone)


def is_python(text: str) -> bool:
    """Whether `text` may stand in a remote command as the interpreter."""
    return PYTHON.fullmatch(text) is not None


def is_user(text: str) -> bool:
    """Whether `text` is a login name."""
    return USER.fullmatch(text) is not None
