"""What a person chose for this window, kept between runs in the data folder."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QByteArray, QSettings

THEMES = ("", "dark", "light")


class Preferences:
    """Read once, before the window is filled; written by `save` after it is gone, so painting never waits for a disk.

    Attributes:
        theme: "dark", "light", or "" for what the desktop asks for.
        language: code of a catalogue, or "" for the desktop's.
        utc: show times in UTC.
        pages: what each page keeps of its layout, as text.
        geometry: where the window stood; None on the first run.
    """

    def __init__(self, folder: Path | None) -> None:
        self._file = None if folder is None else QSettings(str(folder / "window.ini"), QSettings.Format.IniFormat)
        theme = self._text("theme")
        self.theme = theme if theme in THEMES else ""
        self.language = self._text("language")
        self.utc = self._text("utc") == "yes"
        self.pages = {k: self._text(f"pages/{k}") for k in self._keys("pages")}
        geometry = None if self._file is None else self._file.value("geometry")
        self.geometry = geometry if isinstance(geometry, QByteArray) else None

    def _text(self, key: str) -> str:
        value = None if self._file is None else self._file.value(key)
        return value if isinstance(value, str) else ""

    def _keys(self, group: str) -> list[str]:
        if self._file is None:
            return []
        self._file.beginGroup(group)
        found = self._file.childKeys()
        self._file.endGroup()
        return found

    def save(self) -> None:
        """Write everything; without a folder nothing is kept."""
        if self._file is None:
            return
        for key, value in (("theme", self.theme), ("language", self.language), ("utc", "yes" if self.utc else "no")):
            self._file.setValue(key, value)
        for page, state in self.pages.items():
            self._file.setValue(f"pages/{page}", state)
        if self.geometry is not None:
            self._file.setValue("geometry", self.geometry)
        self._file.sync()
