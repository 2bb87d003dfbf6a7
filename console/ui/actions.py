"""What the window's commands do, and why one cannot be run now."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QAbstractButton, QApplication, QLineEdit

from console.commands import registry
from console.fleet import links
from console.fleet.show import duration, plain
from console.health.alarms import Alarm, AlarmError
from console.health.verdict import markdown
from console.history.when import parse_moment
from console.registry import Command, Face
from console.ui import keys
from console.ui.acts import ACTS, Acts
from console.ui.context import NODE
from console.ui.fleet.page import FleetPage
from console.ui.pages import PAGES
from console.ui.pages.alarms import AlarmsPage
from console.ui.text import tr
from console.ui.theme import DARK, LIGHT, Theme

if TYPE_CHECKING:
    from console.ui.window import MainWindow


class Actions:
    """The commands of one window. Ids are those of the table of commands; a test holds them together."""

    def __init__(self, window: MainWindow) -> None:
        self._window = window
        self._context = window.context
        self.acts = Acts(window)
        self.of: dict[str, Callable[[], object]] = self._bind()
        self._shortcuts = keys.bind(window.frame, window.stack, self._pressed)
        self._shortcuts += keys.bind_digits(window.frame, self._digit)

    def _bind(self) -> dict[str, Callable[[], object]]:
        window = self._window
        return {
            "go.fleet": lambda: window.go("fleet"),
            "go.nodes": lambda: window.go("nodes"),
            "go.events": lambda: window.go("events"),
            "go.alarms": lambda: window.go("alarms"),
            "alarm.note": self._take_note,
            "alarm.shelve": self._shelve,
            "alarm.mute": self._mute,
            "evidence.save": self._keep_evidence,
            "incident.copy": self._copy_incident,
            "go.operations": lambda: window.go("operations"),
            "go.assignments": lambda: window.go("assignments"),
            "go.business": lambda: window.go("business"),
            "go.planning": lambda: window.go("planning"),
            "go.settings": lambda: window.go("settings"),
            "go.in": self._go_in,
            "go.out": self._go_out,
            "go.back": lambda: window.back(-1),
            "go.forward": lambda: window.back(1),
            "go.last": window.last,
            "go.next": lambda: self._on("card", "step", 1),
            "go.previous": lambda: self._on("card", "step", -1),
            "select.mark": lambda: self._window.fleet_page.mark(),
            "select.range": lambda: self._window.fleet_page.mark_range(),
            "filter.edit": self._edit_filter,
            "filter.clear": lambda: self._window.fleet_page.filter.set_text(""),
            "filter.invert": lambda: self._window.fleet_page.filter.invert(),
            "filter.faults": self._toggle_faults,
            "palette.open": self._open_palette,
            "keys.show": self._show_keys,
            "fleet.toggle": lambda: self._window.fleet_page.toggle(),
            "fleet.group": lambda: self._window.fleet_page.next_group(),
            "fleet.metric": lambda: self._window.fleet_page.next_metric(),
            "copy.name": self._copy_name,
            "copy.link": lambda: self._copy(self.link()),
            "theme.toggle": self._toggle_theme,
            "time.utc": self._toggle_utc,
            "time.back": lambda: self._context.timeline.step(-60.0),
            "time.on": lambda: self._context.timeline.step(60.0),
            "time.hour_back": lambda: self._context.timeline.step(-3600.0),
            "time.hour_on": lambda: self._context.timeline.step(3600.0),
            "time.event_before": lambda: self._context.timeline.step_event(-1),
            "time.event_after": lambda: self._context.timeline.step_event(1),
            "time.go": self._go_to_time,
            "time.live": self._context.timeline.live,
            "span.wider": lambda: self._widen(1),
            "span.narrower": lambda: self._widen(-1),
            "compare.day": lambda: self._compare("day"),
            "compare.card": lambda: self._compare("card"),
            "plot.save": lambda: self._on("card", "save_plot"),
            "node.add": self._add_node,
            "node.reconnect": lambda: self._on("node", "reconnect"),
            "node.trust": lambda: self._on("node", "act"),
            "acts.arm": self.acts.toggle_arm,
            "acts.menu": self.acts.menu,
            **{name: partial(self.acts.run, name) for name in ACTS},
            "app.quit": window.frame.close,
        }

    def run(self, name: str) -> None:
        """Run a command by its id, or say why it cannot be."""
        reason = self.reason(registry[name])
        if reason:
            self._context.said.emit(f"{tr(registry[name].title)}: {reason}")
        else:
            self.of[name]()

    def reason(self, command: Command) -> str:
        """Why a command cannot run now, or ""."""
        if command.page and command.page != self._window.place.page:
            return tr("only on the page {page}").format(page=tr(PAGES[command.page].title))
        if command.id == "time.live" and not self._context.timeline.can_be_live:
            return tr("this is a recording; it has no present")
        if command.id in ("alarm.note", "alarm.shelve") and self._alarm() is None:
            return tr("no alarm is selected")
        if command.id == "incident.copy" and not self.acts.words():
            return tr("nothing is selected")
        if command.id == "evidence.save":
            if not self._context.desk.can_act:
                return tr("this is a recording; it has no present")
            return "" if self.acts.words() else tr("nothing is selected")
        if command.id.startswith("acts."):
            return self.acts.reason(command)
        if command.id in ("copy.name",) and not self._named():
            return tr("nothing is selected")
        return ""

    def _alarm(self) -> Alarm | None:
        """The alarm of the list's row; elsewhere the worst of what is open or selected."""
        page = self._window.page(self._window.place.page)
        if isinstance(page, AlarmsPage):
            return page.chosen_alarm()
        words = set(self.acts.words()[:1])
        mine = [a for a in self._context.watch.alarms.standing.values() if words & {a.lead.card, a.lead.node}]
        exact = [a for a in mine if a.lead.card in words] or mine
        return min(exact, key=lambda a: (a.acked_at is not None, a.severity, a.raised), default=None)

    def _take_note(self) -> None:
        alarm = self._alarm()
        if alarm is not None:
            self._context.watch.acknowledge(alarm.key)
            self._context.said.emit(tr("Noted") + f": {plain(alarm.lead.signal)}")

    def _shelve(self) -> None:
        from console.ui.dialogs.shelve import ShelveDialog

        alarm = self._alarm()
        if alarm is None:
            return
        if alarm.shelved_until:
            self._context.watch.unshelve(alarm.key)
            return
        dialog = ShelveDialog(self._window.frame, alarm.lead.signal)
        if dialog.exec():
            try:
                self._context.watch.shelve(alarm.key, dialog.why.text(), dialog.seconds)
            except AlarmError as exc:
                self._context.said.emit(str(exc))

    def _keep_evidence(self) -> None:
        said = self._context.said.emit
        for target in self.acts.words()[:1]:
            said(tr("Asking the node for evidence…"))
            self._context.desk.keep_evidence(
                target, lambda where: said(tr("Evidence is kept") + f": {where}"), self._context.desk.failed.emit
            )

    def _copy_incident(self) -> None:
        live, checkup = self._context.live, self._context.rows.shown_checkup
        for target in self.acts.words()[:1]:
            if checkup.facts is not None:
                self._copy(markdown(checkup.verdict(live, target), checkup.facts.now) + f"\n{self.link()}\n")

    def _mute(self) -> None:
        self._context.watch.mute()
        muted = self._context.watch.muted_s > 0.0
        self._context.said.emit(tr("No sound for an hour") if muted else tr("Alarms sound again"))

    def _pressed(self, command: Command) -> None:
        focus = QApplication.focusWidget()
        if command.id == "go.in" and isinstance(focus, QAbstractButton):
            focus.click()
        elif command.id == "go.in" and isinstance(focus, QLineEdit):
            self._leave_line(focus)
        else:
            self.run(command.id)

    def _leave_line(self, line: QLineEdit) -> None:
        page = self._window.stack.currentWidget()
        if isinstance(page, FleetPage) and line is page.filter.edit:
            page.filter.remember()
        page.setFocus()

    def _digit(self, number: int) -> None:
        if self._window.place.page == "fleet":
            self._window.fleet_page.set_metric(number)

    def _on(self, page: str, method: str, *arguments: object) -> None:
        if self._window.place.page == page:
            getattr(self._window.page(page), method)(*arguments)

    def _go_in(self) -> None:
        page = self._window.stack.currentWidget()
        if hasattr(page, "open_selected"):
            page.open_selected()

    def _go_out(self) -> None:
        focus = QApplication.focusWidget()
        if isinstance(focus, QLineEdit):
            self._leave_line(focus)
        elif self._window.inspector.isVisible():
            self._context.select("")
        else:
            self._window.up()

    def _edit_filter(self) -> None:
        self._window.go("fleet")
        self._window.fleet_page.filter.focus()

    def _toggle_faults(self) -> None:
        self._window.go("fleet")
        on = self._context.query_text == "is:faulty"
        self._window.fleet_page.filter.set_text("" if on else "is:faulty")

    def _open_palette(self) -> None:
        from console.ui.palette import Palette, entries

        palette = Palette(self._window.frame, entries(self._context, self.reason))
        if palette.exec() and palette.chosen is not None:
            chosen = palette.chosen
            self.run(chosen.command) if chosen.command else self._window.go(chosen.page, chosen.argument)

    def _show_keys(self) -> None:
        from console.ui.palette import KeysDialog

        KeysDialog(self._window.frame, [c for c in registry.of(Face.WINDOW) if not self.reason(c)]).exec()

    def _named(self) -> str:
        return self._window.place.argument or self._context.selection.removeprefix(NODE)

    def _copy_name(self) -> None:
        self._copy(self._named())

    def _copy(self, text: str) -> None:
        QGuiApplication.clipboard().setText(text)
        self._context.said.emit(tr("Copied: {text}").format(text=text))

    def link(self) -> str:
        """A link to this view: fleet, page, what it shows and the filter."""
        place, context = self._window.place, self._context
        fleet, at = context.live.fleet.name, context.timeline.wanted
        return links.write(links.Link(fleet, place.page, place.argument, context.query_text, at))

    def follow(self, text: str) -> str:
        """Go where a link points; returns what is wrong with it, or "" when it was followed."""
        try:
            link = links.read(text)
        except ValueError as exc:
            return str(exc)
        context, fleet = self._context, self._context.live.fleet.name
        if link.fleet != fleet:
            return tr("This link is of the fleet {other}; this window shows {this}.").format(
                other=link.fleet, this=fleet
            )
        if link.page not in PAGES:
            return tr("There is no view {name} here.").format(name=link.page)
        context.timeline.look(link.at) if link.at is not None else context.timeline.live()
        if link.query:
            self._window.fleet_page.filter.set_text(link.query)
        self._window.go(link.page, link.argument)
        return ""

    def _go_to_time(self) -> None:
        from console.ui.dialogs.gotime import GoDialog

        GoDialog(self._window.frame, self.follow_time).exec()

    def follow_time(self, text: str) -> str:
        """Go to a time as people write it, or where a link points; returns what is wrong with it, or ""."""
        if text.startswith("console:"):
            return self.follow(text)
        if text.lower() in ("now", "live"):
            self._context.timeline.live()
            return ""
        now = datetime.now(UTC) if self._context.utc else datetime.now().astimezone()
        try:
            at = parse_moment(text, now).timestamp()
        except ValueError as exc:
            return str(exc)
        if at > now.timestamp():
            return tr("That is yet to come.")
        self._context.timeline.look(at)
        return ""

    def _widen(self, by: int) -> None:
        line = self._context.timeline
        line.widen(by)
        self._context.said.emit(tr("Plots show {span}").format(span=duration(line.span_s)))

    def _compare(self, what: str) -> None:
        line, rows = self._context.timeline, self._context.rows
        if what == "card":
            others = sorted(rows.marked - {self._window.place.argument})
            what = others[0] if others else ""
            if not what and line.compared in ("", "day"):
                self._context.said.emit(tr("Mark a card first: Space on the fleet page"))
                return
        line.compare("" if line.compared == what else what)

    def _toggle_theme(self) -> None:
        self._window.preferences.theme = (LIGHT if Theme.now is DARK else DARK).name
        self._context.themed.emit()

    def _toggle_utc(self) -> None:
        self._context.utc = not self._context.utc
        self._context.ticked.emit()
        self._context.events.emit([])
        self._window.status.tick()

    def _add_node(self) -> None:
        from console.ui.dialogs.addnode import AddNodeDialog

        AddNodeDialog(self._window.frame, self._context).exec()
