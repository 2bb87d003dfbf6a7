"""Strict host keys out of OpenSSH's known_hosts: plain, patterns, hashed, @cert-authority and @revoked."""

from __future__ import annotations

import base64
import binascii
import enum
import fnmatch
import hashlib
import hmac
import os
import secrets
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_public_identity
from cryptography.hazmat.primitives.serialization.ssh import SSHCertificate, SSHCertificateType


class Verdict(enum.StrEnum):
    """What known_hosts says of a key that a host showed."""

    KNOWN = "known"
    UNKNOWN = "unknown"
    CHANGED = "changed"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of known_hosts. `blob` is the key in SSH wire form."""

    marker: str
    patterns: str
    key_type: str
    blob: bytes
    path: str
    line: int


@dataclass(frozen=True, slots=True)
class Answer:
    """A verdict with what a person needs to judge it.

    Attributes:
        entry: the line that decided, if one did.
        reason: why a certificate was not accepted, or "".
    """

    verdict: Verdict
    entry: Entry | None = None
    reason: str = ""


def fingerprint(blob: bytes) -> str:
    """OpenSSH's fingerprint of a key in wire form: "SHA256:..." without padding."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def host_token(host: str, port: int) -> str:
    """How known_hosts writes a host: [host]:port unless the port is 22."""
    return host.lower() if port == 22 else f"[{host.lower()}]:{port}"


def read_known_hosts(paths: Iterable[Path]) -> list[Entry]:
    """All entries of the files that exist, in order. Lines that are no entries are skipped, as OpenSSH does."""
    entries: list[Entry] = []
    for path in paths:
        try:
            text = path.expanduser().read_text("utf-8", "replace")
        except OSError:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            entry = parse_line(line, str(path), number)
            if entry is not None:
                entries.append(entry)
    return entries


def parse_line(line: str, path: str = "", number: int = 0) -> Entry | None:
    """One line of known_hosts, or None when it is blank, a comment or no entry."""
    words = line.split()
    if not words or words[0].startswith("#"):
        return None
    marker = ""
    if words[0].startswith("@"):
        marker, words = words[0], words[1:]
        if marker not in ("@cert-authority", "@revoked"):
            return None
    if len(words) < 3:
        return None
    try:
        blob = base64.b64decode(words[2], validate=True)
    except (binascii.Error, ValueError):
        return None
    return Entry(marker, words[0], words[1], blob, path, number)


def matches(patterns: str, token: str) -> bool:
    """Whether the host field of an entry covers `token`."""
    if patterns.startswith("|1|"):
        try:
            _, _, salt, digest = patterns.split("|")
            expected = base64.b64decode(digest, validate=True)
            found = hmac.new(base64.b64decode(salt, validate=True), token.encode(), hashlib.sha1).digest()
        except (ValueError, binascii.Error):
            return False
        return hmac.compare_digest(found, expected)
    hit = False
    for pattern in patterns.lower().split(","):
        negated = pattern.startswith("!")
        # known_hosts knows only * and ?; brackets are part of [host]:port.
        plain = (pattern[1:] if negated else pattern).replace("[", "[[]")
        if fnmatch.fnmatchcase(token, plain):
            if negated:
                return False
            hit = True
    return hit


class KnownHosts:
    """The known hosts of some files, as they were when read."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self._entries = read_known_hosts(paths)

    def of(self, host: str, port: int) -> list[Entry]:
        """The entries that cover a host."""
        token = host_token(host, port)
        return [e for e in self._entries if matches(e.patterns, token)]

    def judge(self, host: str, port: int, blob: bytes) -> Answer:
        """The verdict on a key or host certificate (wire form) that `host` showed."""
        entries = self.of(host, port)
        for entry in entries:
            if entry.marker == "@revoked" and entry.blob == blob:
                return Answer(Verdict.REVOKED, entry)
        if b"-cert-v01@openssh.com" in blob[:64]:
            return self._judge_certificate(entries, host, blob)
        plain = [e for e in entries if not e.marker]
        for entry in plain:
            if entry.blob == blob:
                return Answer(Verdict.KNOWN, entry)
        kind = _wire_type(blob)
        for entry in plain:
            if entry.key_type == kind:
                return Answer(Verdict.CHANGED, entry)
        return Answer(Verdict.CHANGED, plain[0]) if plain else Answer(Verdict.UNKNOWN)

    def _judge_certificate(self, entries: list[Entry], host: str, blob: bytes) -> Answer:
        kind = _wire_type(blob)
        try:
            line = kind.encode() + b" " + base64.b64encode(blob)
            certificate = load_ssh_public_identity(line)
            assert isinstance(certificate, SSHCertificate)
            certificate.verify_cert_signature()
        except (ValueError, InvalidSignature, AssertionError) as exc:
            return Answer(Verdict.UNKNOWN, reason=f"the host certificate is damaged: {exc}")
        signer = _blob_of(certificate.signature_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH))
        for entry in entries:
            if entry.blob == signer and entry.marker == "@revoked":
                return Answer(Verdict.REVOKED, entry)
        for entry in entries:
            if entry.blob == signer and entry.marker == "@cert-authority":
                reason = _why_not(certificate, host)
                return Answer(Verdict.UNKNOWN if reason else Verdict.KNOWN, entry, reason)
        answer = self._plain(entries, plain_key(blob))
        return answer if answer is not None else Answer(Verdict.UNKNOWN, reason="signed by an unknown authority")

    @staticmethod
    def _plain(entries: list[Entry], key: bytes) -> Answer | None:
        for entry in entries:
            if not entry.marker and entry.blob == key:
                return Answer(Verdict.KNOWN, entry)
        return None

    def preferred_types(self, host: str, port: int) -> tuple[list[str], bool]:
        """(key types known for the host, whether an authority signs for it): what to negotiate first."""
        entries = self.of(host, port)
        return [e.key_type for e in entries if not e.marker], any(e.marker == "@cert-authority" for e in entries)


def _why_not(certificate: SSHCertificate, host: str) -> str:
    now = time.time()
    names = [n.decode("utf-8", "replace") for n in certificate.valid_principals]
    if certificate.type is not SSHCertificateType.HOST:
        return "the certificate is a user's, not a host's"
    if not certificate.valid_after <= now < certificate.valid_before:
        return "the host certificate is not valid now"
    if names and host.lower() not in (n.lower() for n in names):
        return f"the host certificate is for {', '.join(names[:5])}, not for {host}"
    if certificate.critical_options:
        return "the host certificate has critical options that are not understood"
    return ""


def plain_key(blob: bytes) -> bytes:
    """The key within a host certificate, or the key itself. Wire form."""
    if b"-cert-v01@openssh.com" not in blob[:64]:
        return blob
    certificate = load_ssh_public_identity(_wire_type(blob).encode() + b" " + base64.b64encode(blob))
    assert isinstance(certificate, SSHCertificate)
    return _blob_of(certificate.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH))


def _wire_type(blob: bytes) -> str:
    length = int.from_bytes(blob[:4], "big")
    return blob[4 : 4 + min(length, 64)].decode("ascii", "replace")


def _blob_of(line: bytes) -> bytes:
    return base64.b64decode(line.split()[1])


def record(path: Path, host: str, port: int, blob: bytes) -> None:
    """Append a key to a known_hosts file; hashed when the file hashes its hosts. The file is replaced atomically.

    Raises:
        OSError: it cannot be written.
    """
    path = path.expanduser()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    old = path.read_bytes() if path.exists() else b""
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
    token = host_token(host, port)
    if any(line.startswith(b"|1|") for line in old.splitlines()):
        salt = secrets.token_bytes(20)
        digest = hmac.new(salt, token.encode(), hashlib.sha1).digest()
        token = f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"
    line = f"{token} {_wire_type(blob)} {base64.b64encode(blob).decode()}\n".encode()
    gap = b"" if not old or old.endswith(b"\n") else b"\n"
    fd, temporary = tempfile.mkstemp(prefix=".known_hosts-", dir=path.parent)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(old + gap + line)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, mode)
        os.replace(temporary, path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise
