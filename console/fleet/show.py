"""Numbers and foreign text for people: units, three significant figures, ages; hostile text made plain."""

from __future__ import annotations

import math
import unicodedata
from datetime import UTC, datetime
from functools import lru_cache

from console.fleet.metrics import CLOCKS_EVENT_REASONS

THIN = "\u2009"
DASH = "–"
MAX_TEXT = 256

_UNIT = {"degC": "°C"}
_BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_DECIMAL = ("", "k", "M", "G", "T")
_HIDDEN = {0x00AD, 0x061C, 0x180E, 0xFEFF, *range(0x200B, 0x2010), *range(0x2028, 0x202F), *range(0x2060, 0x2070)}


@lru_cache(maxsize=8192)
def plain(text: str, limit: int = MAX_TEXT) -> str:
    """Foreign text made safe to show: control, bidi and invisible characters spelled out, NFC, bounded.

    What cannot be seen is written as \\u{hex}, so that nothing hides and nothing turns the line around.
    """
    out: list[str] = []
    length = 0
    for char in unicodedata.normalize("NFC", text[: limit * 4]):
        code = ord(char)
        kind = unicodedata.category(char)
        if code in _HIDDEN or kind in ("Cc", "Cs", "Co", "Cn") or (kind == "Cf" and code > 0xFF):
            char = f"\\u{{{code:x}}}"
        if length + len(char) > limit:
            return "".join(out) + "…"
        out.append(char)
        length += len(char)
    return "".join(out) + ("…" if len(text) > limit * 4 else "")


def utc(at: float) -> str:
    """A unix second as a moment that means the same everywhere: 2026-03-01 04:05:06 UTC."""
    return datetime.fromtimestamp(at, tz=UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def figures(value: float, digits: int = 3) -> str:
    """A number with that many significant figures and no exponent: 0.0123, 1.24, 12.4, 124, 1240."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else DASH
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def number(value: float | None, unit: str, full: bool = False) -> str:
    """A value with its unit after a thin space: "84 °C", "61.3 GiB", "1.2 GB/s"; a dash for None.

    `full` gives full precision, for tool tips and exports.
    """
    if value is None or math.isnan(value):
        return DASH
    if unit == "B" and not full:
        return _scaled(value, 1024.0, _BINARY)
    if unit == "B/s" and not full:
        return _scaled(value, 1000.0, tuple(f"{p}B/s" for p in _DECIMAL))
    if unit == "s" and not full:
        return duration(value)
    if unit == "%" and not full and 0.0 < value < 0.1:
        return f"<0.1{THIN}%"
    text = f"{value:.10g}" if full else figures(value, 4 if unit == "MHz" or abs(value) >= 1000 else 3)
    return f"{text}{THIN}{_UNIT.get(unit, unit)}" if unit else text


def _scaled(value: float, base: float, units: tuple[str, ...]) -> str:
    step = 0
    while abs(value) >= base and step < len(units) - 1:
        value /= base
        step += 1
    return f"{figures(value)}{THIN}{units[step]}"


def duration(seconds: float) -> str:
    """ "3 s", "4 min", "2 h 05 min", "12 d 4 h"."""
    if seconds < 0:
        return "-" + duration(-seconds)
    if seconds < 1:
        return f"{figures(seconds, 2)}{THIN}s"
    if seconds < 90:
        return f"{seconds:.0f}{THIN}s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes}{THIN}min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours}{THIN}h {minutes:02d}{THIN}min"
    days, hours = divmod(hours, 24)
    return f"{days}{THIN}d {hours}{THIN}h"


def middle(text: str, limit: int = 16) -> str:
    """A long id shortened in the middle: "GPU-8f3a…c21d"."""
    if len(text) <= limit:
        return text
    front = (limit - 1 + 1) // 2
    return f"{text[:front]}…{text[-(limit - 1 - front) :]}"


def clock_reasons(mask: int) -> list[str]:
    """The names of the bits of a clocks event reasons mask, lowest first; unknown bits by number."""
    names = []
    for bit in range(64):
        if mask >> bit & 1:
            names.append(CLOCKS_EVENT_REASONS.get(1 << bit, f"0x{1 << bit:x}"))
    return names


COMPUTE_MODES = ("Default", "Exclusive thread", "Prohibited", "Exclusive process")
RECOVERY_ACTIONS = (
    "None",
    "Reset the card",
    "Reboot the node",
    "Drain peer-to-peer traffic",
    "Drain and reset",
    "Recover IMEX",
    "Reset the bus",
    "Reboot the system",
)
FABRIC_STATES = ("Not supported", "Not started", "In progress", "Completed")
_CODES: dict[str, tuple[str, ...]] = {
    "compute_mode": COMPUTE_MODES,
    "recovery_action": RECOVERY_ACTIONS,
    "fabric_state": FABRIC_STATES,
    "persistence_mode": ("Off", "On"),
    "ecc_mode": ("Off", "On"),
    "mig_mode": ("Off", "On"),
    "remap_pending": ("No", "Yes"),
    "remap_failure": ("No", "Yes"),
    "retired_pages_pending": ("No", "Yes"),
    "ecc_sram_threshold": ("No", "Yes"),
    "ntp_synchronised": ("No", "Yes"),
}


def reading(metric: str, value: float | None, unit: str) -> str:
    """A metric's value in words or numbers: "P0", "Drain and reset", "SW power cap", "84 °C"."""
    if value is None or math.isnan(value):
        return DASH
    if metric == "pstate":
        return f"P{int(value)}"
    if metric == "clocks_event_reasons":
        return ", ".join(clock_reasons(int(value))) or "None"
    words = _CODES.get(metric)
    if words is not None:
        return words[int(value)] if 0 <= int(value) < len(words) else f"code {int(value)}"
    return number(value, unit)
