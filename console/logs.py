"""Where our log lines go and what they never hold: keys, passwords, passphrases and tokens are blotted out."""

from __future__ import annotations

import logging
import re

_BLOT = "[redacted]"
_SECRETS = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL), _BLOT),
    (re.compile(r"(?i)\b(authorization\s*[:=]\s*)(?:(?:bearer|basic)\s+)?\S+"), rf"\1{_BLOT}"),
    (re.compile(r"(?i)\b(bearer\s+)[A-Za-z0-9._~+/=-]{8,}"), rf"\1{_BLOT}"),
    (
        re.compile(
            r"(?i)(\b[\w-]*(?:password|passwd|passphrase|secret|token|api[_-]?key)[\"']?\s*[:=]\s*)"
            r"(?:\"[^\"]*\"|'[^']*'|[^\s,;)}\]]+)"
        ),
        rf"\1{_BLOT}",
    ),
    (re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s/:@]+:)[^\s/@]+(?=@)"), rf"\1{_BLOT}"),
)


def redacted(text: str) -> str:
    """`text` without what looks like a secret: private keys, passwords in settings or addresses, tokens."""
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return text


class Redacting(logging.Formatter):
    """Formats a whole record, traceback included, and then blots out what must not be kept."""

    def format(self, record: logging.LogRecord) -> str:  # noqa: D102 - the base class says it
        return redacted(super().format(record))


def configure(process: str = "", level: int = logging.WARNING) -> None:
    """Log to standard error; `process` names who speaks where several do."""
    handler = logging.StreamHandler()
    stamp = f"%(asctime)s {process} " if process else ""
    handler.setFormatter(Redacting(f"{stamp}%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler])
