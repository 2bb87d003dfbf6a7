"""What a command is, and the table of them all: one definition for the CLI, the palette, the keys and the API."""

from __future__ import annotations

import enum
import inspect
import typing
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any


class Danger(enum.StrEnum):
    """What a command can do to the world."""

    NONE = "none"
    LOCAL = "local"
    """Changes files of this workstation."""
    NODE = "node"
    """Changes a node."""


class Face(enum.StrEnum):
    """Where a command can be called."""

    CLI = "cli"
    WINDOW = "window"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument, taken from the function's signature. `default` is `inspect.Parameter.empty` when required.

    `is_flag` is set for keyword-only ones: on the command line they are written --NAME VALUE. One that `is_many` takes
    several values of its kind, or is given several times.
    """

    name: str
    kind: type
    default: Any
    help: str
    is_flag: bool = False
    is_many: bool = False

    @property
    def is_required(self) -> bool:
        """Whether it must be given."""
        return self.default is inspect.Parameter.empty


@dataclass(frozen=True, slots=True)
class Command:
    """One command.

    Attributes:
        id: "fleet.check"; on the command line `fleet check`.
        title: for the palette, a verb first.
        doc: one sentence or more.
        key: the window's default key sequence, "" for none.
        streams: its result is a stream: NDJSON under --json.
        connects: it needs the console started, not only its fleet read.
        page: the page on which its key works, "" for all.
    """

    id: str
    title: str
    doc: str
    danger: Danger = Danger.NONE
    faces: frozenset[Face] = frozenset()
    key: str = ""
    page: str = ""
    run: Callable[..., Any] | None = None
    parameters: tuple[Parameter, ...] = ()
    streams: bool = False
    connects: bool = False
    reads: bool = True


@dataclass(slots=True)
class Registry:
    """The table of commands, in order of definition."""

    _commands: dict[str, Command] = field(default_factory=dict)

    def add(self, command: Command) -> None:
        """Add a command.

        Raises:
            ValueError: its id is taken.
        """
        if command.id in self._commands:
            raise ValueError(f"two commands are called {command.id}")
        self._commands[command.id] = command

    def __getitem__(self, name: str) -> Command:
        return self._commands[name]

    def __contains__(self, name: object) -> bool:
        return name in self._commands

    def __iter__(self) -> Iterator[Command]:
        return iter(self._commands.values())

    def of(self, face: Face) -> list[Command]:
        """The commands of one face."""
        return [c for c in self if face in c.faces]

    def command(
        self,
        name: str,
        title: str,
        *,
        danger: Danger = Danger.NONE,
        streams: bool = False,
        connects: bool = False,
        reads: bool = True,
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Decorator: a function of the console becomes a command of the CLI. Its docstring is the help.

        Lines of the docstring like `name: text` under "Args:" describe the arguments.
        """

        def register(function: Callable[..., Any]) -> Callable[..., Any]:
            doc = inspect.getdoc(function) or ""
            head, _, arguments = doc.partition("Args:")
            helps = dict(line.strip().split(": ", 1) for line in arguments.splitlines() if ": " in line)
            hints = typing.get_type_hints(function)
            parameters = tuple(
                _parameter(p, hints[p.name], helps.get(p.name, ""))
                for p in list(inspect.signature(function).parameters.values())[1:]
            )
            self.add(
                Command(
                    name,
                    title,
                    head.strip(),
                    danger,
                    frozenset({Face.CLI}),
                    run=function,
                    parameters=parameters,
                    streams=streams,
                    connects=connects,
                    reads=reads,
                )
            )
            return function

        return register

    def window(self, rows: Iterable[tuple[str, str, str, str, str]]) -> None:
        """Add commands of the window: (id, title, key, page, doc). The window binds what they do."""
        for name, title, key, page, doc in rows:
            self.add(Command(name, title, doc, faces=frozenset({Face.WINDOW}), key=key, page=page))


def _parameter(p: inspect.Parameter, hint: Any, text: str) -> Parameter:
    kind, is_many = _plain(hint)
    return Parameter(p.name, kind, p.default, text, p.kind is p.KEYWORD_ONLY, is_many)


def _plain(hint: Any) -> tuple[type, bool]:
    """(the type behind `X | None` or `list[X]`, whether it is a list)."""
    options = [a for a in typing.get_args(hint) if a is not type(None)]
    if typing.get_origin(hint) is list:
        return options[0], True
    if options and typing.get_origin(options[0]) is list:
        return typing.get_args(options[0])[0], True
    found: type = options[0] if options else hint
    return found, False


registry = Registry()
"""The one table; the modules of commands add to it when they are imported (see console.commands)."""
