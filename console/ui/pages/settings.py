"""The settings page: how the window looks and speaks, and where it keeps its things."""

from __future__ import annotations

from PySide6.QtWidgets import QComboBox, QFormLayout, QVBoxLayout, QWidget

from console import __version__
from console.ui.context import Context
from console.ui.i18n import languages
from console.ui.parts import Facts, Panel
from console.ui.text import PlainLabel, tr

WIDTH = 640


class SettingsPage(QWidget):
    """Choices take effect at once; a language at the next start."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
        kept = context.preferences
        self._theme = self._box(tr("Theme"), [("", tr("As the desktop")), ("dark", tr("Dark")), ("light", tr("Light"))])
        self._times = self._box(tr("Times"), [("local", tr("Local time")), ("utc", "UTC")])
        known = list(languages().items())
        self._language = self._box(tr("Language"), [("", tr("As the desktop")), *known])
        self._note = PlainLabel("", "quiet").wrapped()
        self._note.hide()
        self._choose(self._theme, kept.theme)
        self._choose(self._times, "utc" if kept.utc else "local")
        self._choose(self._language, kept.language)
        self._theme.currentIndexChanged.connect(self._set_theme)
        self._times.currentIndexChanged.connect(self._set_times)
        self._language.currentIndexChanged.connect(self._set_language)
        look = Panel(tr("Look and language"))
        form = QFormLayout()
        form.setSpacing(8)
        form.setHorizontalSpacing(24)
        for title, box in ((tr("Theme"), self._theme), (tr("Times"), self._times), (tr("Language"), self._language)):
            form.addRow(PlainLabel(title, "quiet"), box)
        look.body.addLayout(form)
        look.body.addWidget(self._note)
        about = Panel(tr("This console"))
        facts = Facts()
        config = context.console.config
        facts.show_rows(
            [
                (tr("Version"), __version__, ""),
                (tr("Fleet file"), context.live.fleet.path or str(config.fleet_path), ""),
                (tr("Local data"), str(config.data), ""),
            ]
        )
        about.body.addWidget(facts)
        inner = QVBoxLayout()
        inner.setSpacing(12)
        inner.addWidget(PlainLabel(tr("Settings"), "title"))
        inner.addWidget(look)
        inner.addWidget(about)
        inner.addStretch(1)
        holder = QWidget()
        holder.setLayout(inner)
        holder.setMaximumWidth(WIDTH)
        inner.setContentsMargins(16, 16, 16, 16)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(holder)
        self.setFocusProxy(self._theme)

    @staticmethod
    def _box(name: str, choices: list[tuple[str, str]]) -> QComboBox:
        box = QComboBox()
        for value, title in choices:
            box.addItem(title, value)
        box.setAccessibleName(name)
        return box

    @staticmethod
    def _choose(box: QComboBox, value: str) -> None:
        box.setCurrentIndex(max(0, box.findData(value)))

    def _set_theme(self) -> None:
        self._context.preferences.theme = str(self._theme.currentData())
        self._context.themed.emit()

    def _set_times(self) -> None:
        if (self._times.currentData() == "utc") != self._context.utc:
            self._context.asked.emit("time.utc")

    def _set_language(self) -> None:
        self._context.preferences.language = str(self._language.currentData())
        self._note.setText(tr("The language changes when the console is started again."))
        self._note.show()

    def dress(self) -> None:
        """Follow what was chosen by key."""
        blocked = self._theme.blockSignals(True)
        self._choose(self._theme, self._context.preferences.theme)
        self._theme.blockSignals(blocked)
