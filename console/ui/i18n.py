"""Languages: catalogues in TOML, number forms, and a pseudo-language that shows what would be cut off.

A catalogue is resources/translations/LANGUAGE.toml:

    [language]
    name = "العربية"          # in its own words
    right_to_left = true
    [text]
    "Fleet" = "..."
    "%n cards" = ["form 1", "form 2", ...]   # as many as the language has, in the order of FORMS

English is the source; its own catalogue holds only number forms.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QLibraryInfo, QLocale, Qt, QTranslator
from PySide6.QtWidgets import QApplication

from console.ui.style import RESOURCES

TRANSLATIONS = RESOURCES / "translations"
CONTEXT = "Cardkeeper"

Forms = Callable[[int], int]


def _one_other(n: int) -> int:
    return 0 if n == 1 else 1


def _slavic(n: int) -> int:
    if n % 10 == 1 and n % 100 != 11:
        return 0
    return 1 if n % 10 in (2, 3, 4) and n % 100 not in (12, 13, 14) else 2


def _arabic(n: int) -> int:
    if n in (0, 1, 2):
        return n
    if n % 100 in range(3, 11):
        return 3
    return 4 if n % 100 >= 11 else 5


FORMS: dict[str, tuple[int, Forms]] = {
    "en": (2, _one_other),
    "de": (2, _one_other),
    "es": (2, _one_other),
    "fr": (2, lambda n: 0 if n < 2 else 1),
    "ja": (1, lambda _n: 0),
    "zh": (1, lambda _n: 0),
    "ru": (3, _slavic),
    "ar": (6, _arabic),
}
"""How many number forms a language has and which one `n` takes (Unicode CLDR, cardinal plurals of integers)."""


@dataclass(frozen=True, slots=True)
class Language:
    """A catalogue that was read and checked."""

    code: str
    name: str
    right_to_left: bool
    texts: dict[str, str | tuple[str, ...]]


def read_language(path: Path) -> Language:
    """The catalogue of a file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no catalogue: what is wrong, with the text it is wrong with.
    """
    code = path.stem
    data = tomllib.loads(path.read_text("utf-8"))
    if code not in FORMS:
        raise ValueError(f"{path}: no number forms are known for {code!r}")
    texts: dict[str, str | tuple[str, ...]] = {}
    for source, target in data.get("text", {}).items():
        forms = (target,) if isinstance(target, str) else tuple(target)
        if not any(forms):
            continue  # not translated yet: stays English
        if "%n" in source and len(forms) != FORMS[code][0]:
            raise ValueError(f"{path}: {source!r} needs {FORMS[code][0]} forms")
        for form in forms:
            if _holes(form) - {"%n"} != _holes(source) - {"%n"}:
                raise ValueError(f"{path}: {form!r} does not have the places of {source!r}")
        texts[source] = target if isinstance(target, str) else forms
    about = data.get("language", {})
    return Language(code, str(about.get("name", code)), bool(about.get("right_to_left", False)), texts)


def _holes(text: str) -> set[str]:
    return set(re.findall(r"\{\w*\}|%n", text))


class Catalogue(QTranslator):
    """Translates from a Language; what it does not have stays English."""

    def __init__(self, language: Language, parent: QApplication | None = None) -> None:
        super().__init__(parent)
        self._texts = language.texts
        self._form = FORMS[language.code][1]

    def translate(self, context: str, text: str, disambiguation: str | None = None, n: int = -1) -> str | None:
        found = self._texts.get(text) if context == CONTEXT else None
        if found is None or isinstance(found, str):
            return found
        return found[min(self._form(max(0, n)), len(found) - 1)]

    def isEmpty(self) -> bool:
        return False


class Pseudo(QTranslator):
    """A language two fifths longer than English, so that what would be cut off, and what is not translated, is seen."""

    _ACCENTS = str.maketrans("aeiouAEIOUcn", "àéîöûÀÉÎÖÛçñ")

    def translate(self, context: str, text: str, disambiguation: str | None = None, n: int = -1) -> str:
        if not text:
            return ""
        parts = re.split(r"(\{\w*\}|%n)", text)
        longer = "".join(p if i % 2 else p.translate(self._ACCENTS) for i, p in enumerate(parts))
        return "[" + longer + "~" * max(1, len(text) * 2 // 5) + "]"

    def isEmpty(self) -> bool:
        return False


def languages() -> dict[str, str]:
    """Languages that can be chosen: code to name in its own words, English first."""
    found = {"en": "English"}
    for path in sorted(TRANSLATIONS.glob("*.toml")):
        found.setdefault(path.stem, read_language(path).name)
    return found


def use(app: QApplication, code: str) -> None:
    """Speak a language from now on: ours, Qt's own words, and the direction of the window.

    `code` "" asks the desktop; a language without a catalogue is English.
    """
    code = code or QLocale.system().name().split("_")[0]
    if not (TRANSLATIONS / f"{code}.toml").exists():
        code = "en"
    language = read_language(TRANSLATIONS / f"{code}.toml")
    if code != "en":
        words = QTranslator(app)
        if words.load(f"qtbase_{code}", QLibraryInfo.path(QLibraryInfo.LibraryPath.TranslationsPath)):
            app.installTranslator(words)
    app.installTranslator(Catalogue(language, app))
    right, left = Qt.LayoutDirection.RightToLeft, Qt.LayoutDirection.LeftToRight
    app.setLayoutDirection(right if language.right_to_left else left)
