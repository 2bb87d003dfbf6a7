"""What there is to translate, and a catalogue to fill in: python -m console.ui.catalogue LANGUAGE.

It writes resources/translations/LANGUAGE.toml with every text of the window: what was translated stays, what is new is
marked by an empty string, what is gone is left out.
"""

from __future__ import annotations

import ast
import json
import sys
import tomllib
from pathlib import Path

from console.commands import registry
from console.fleet.metrics import CARD_METRICS, HOST_METRICS
from console.registry import Face
from console.ui.i18n import FORMS, TRANSLATIONS
from console.ui.inspector import CURVES
from console.ui.pages import PAGES

ROOM = Path(__file__).resolve().parent


def source_texts() -> dict[str, str]:
    """Every text that is looked up in a catalogue, with where it stands."""
    found: dict[str, str] = {}
    for path in sorted(ROOM.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            is_call = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "tr"
            if is_call and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str):
                found.setdefault(node.args[0].value, f"{path.relative_to(ROOM)}:{node.lineno}")
    tables = [(m.title, "metrics") for m in (*CARD_METRICS, *HOST_METRICS)]
    tables += [(text, f"command {c.id}") for c in registry.of(Face.WINDOW) for text in (c.title, c.doc)]
    tables += [(p.title, f"page {p.id}") for p in PAGES.values()]
    tables += [(title, "inspector") for _, title, _ in CURVES]
    for text, where in tables:
        found.setdefault(text, where)
    return found


def catalogue(code: str, known: dict[str, object], about: dict[str, object]) -> str:
    """The TOML of a language: `known` translations kept, an empty text for what has none."""
    count = FORMS[code][0]
    lines = ["[language]"]
    lines += [f"name = {json.dumps(str(about.get('name', code)), ensure_ascii=False)}"]
    lines += [f"right_to_left = {'true' if about.get('right_to_left') else 'false'}", "", "[text]"]
    for text, where in sorted(source_texts().items()):
        empty: object = [""] * count if "%n" in text else ""
        value = json.dumps(known.get(text, empty), ensure_ascii=False)
        lines.append(f"{json.dumps(text, ensure_ascii=False)} = {value}  # {where}")
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    """Write the catalogue of the language named by the first argument; returns the exit status."""
    if len(arguments) != 1 or arguments[0] not in FORMS or arguments[0] == "en":
        sys.stderr.write(f"usage: python -m console.ui.catalogue {'|'.join(sorted(set(FORMS) - {'en'}))}\n")
        return 2
    path = TRANSLATIONS / f"{arguments[0]}.toml"
    data = tomllib.loads(path.read_text("utf-8")) if path.exists() else {}
    path.write_text(catalogue(arguments[0], data.get("text", {}), data.get("language", {})), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
