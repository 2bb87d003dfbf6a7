"""Which commands the API has, and for whom: everything else of the command line is not reachable over it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, create_model

from console.commands import registry
from console.exposure import DOCUMENT, OPERATOR, VIEWER, is_read, parameters
from console.registry import Command, Parameter

MOST_TEXT = 1000
MOST_MANY = 500


def commands() -> Iterator[Command]:
    """The commands of the API, in order."""
    return (registry[name] for name in dict.fromkeys((*VIEWER, *OPERATOR)))


def model(command: Command) -> type[BaseModel]:
    """The arguments of a command as a strict model."""
    fields: dict[str, Any] = {}
    for parameter in parameters(command):
        kind = _kind(parameter, is_read(command))
        default = ... if parameter.is_required else parameter.default
        fields[parameter.name if parameter.name != DOCUMENT else "document"] = (
            kind if parameter.is_required else kind | None, Field(default, description=parameter.help),
        )  # fmt: skip
    name = "".join(part.capitalize() for part in command.id.replace("-", ".").split("."))
    made: type[BaseModel] = create_model(name, __config__=ConfigDict(extra="forbid"), **fields)
    return made


def _kind(parameter: Parameter, is_query: bool) -> Any:
    if parameter.name == DOCUMENT:
        return dict[str, Any] | list[Any]
    # A query is text, of which numbers are read; a body says what it means.
    kind: Any = {
        str: Annotated[str, Field(max_length=MOST_TEXT, strict=not is_query)],
        int: Annotated[int, Field(ge=-(2**31), le=2**31), *([] if is_query else [BeforeValidator(_whole)])],
        bool: Annotated[bool, Field(strict=not is_query)],
    }.get(parameter.kind, parameter.kind)
    return Annotated[list[kind], Field(max_length=MOST_MANY)] if parameter.is_many else kind


def _whole(value: Any) -> Any:
    """2.0 is a whole number in JSON; "2" and true are none."""
    if isinstance(value, bool | str):
        raise ValueError("must be a whole number")
    return int(value) if isinstance(value, float) and value.is_integer() else value


def arguments(command: Command, given: BaseModel) -> dict[str, Any]:
    """What the command's function is called with. null means not given."""
    values = given.model_dump()
    out = {}
    for parameter in parameters(command):
        value = values["document" if parameter.name == DOCUMENT else parameter.name]
        if value is None and not parameter.is_required:
            value = parameter.default
        out[parameter.name] = value
    return out
