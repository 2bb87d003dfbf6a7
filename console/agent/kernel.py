"""XIDs out of the kernel's log: all since boot, then as they come."""

import errno
import os
import re
import subprocess

# NVRM: Xid (PCI:0000:3b:00): 79, pid=1234, name=python, GPU has fallen off the bus.
# NVRM: Xid (PCI:0000:3b:00 GPU-I:05): 43, ... names a MIG instance.
_XID = re.compile(r"NVRM: Xid \(PCI:([0-9a-fA-F]{4,8}:[0-9a-fA-F]{2}:[0-9a-fA-F]{2})[^)]*\): (\d{1,5})\b")
_DMESG = re.compile(r"^\[\s*(\d+\.\d+)\]\s?(.*)$")
MAX_TEXT = 1000


def parse_xid(text):
    """(pci address "dddd:bb:dd" in lower case, code) of a kernel message, or None."""
    found = _XID.search(text)
    if found is None:
        return None
    domain, rest = found.group(1).lower().split(":", 1)
    return "%04x:%s" % (int(domain, 16), rest), int(found.group(2))


def parse_kmsg(record):
    """(seconds since boot, text) of one /dev/kmsg record, or None. Continuation lines are left out."""
    head, _, text = record.partition(";")
    parts = head.split(",")
    if not text or len(parts) < 3 or not parts[2].isdigit():
        return None
    return int(parts[2]) / 1e6, text.split("\n", 1)[0]


def parse_dmesg(line):
    """(seconds since boot, text) of one line of `dmesg`, or None."""
    found = _DMESG.match(line)
    return None if found is None else (float(found.group(1)), found.group(2))


class KernelLog(object):
    """Reads XIDs from /dev/kmsg where it may, else from `dmesg` or the journal, again at every slow pass.

    Attributes:
        source: "kmsg", "dmesg", "journal" or "" (nothing readable: then only NVML's events tell).
    """

    def __init__(self, path="/dev/kmsg", run=None):
        self._fd = None
        self._run = run or _run
        self._seen_until = -1.0
        self.source = ""
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            self.source = "kmsg"
        except OSError:
            pass

    def poll(self):
        """[(seconds since boot, pci, code, text), ...] that are new. Never blocks on the log itself."""
        records = self._from_kmsg() if self._fd is not None else self._from_command()
        out = []
        for at, text in records:
            xid = parse_xid(text)
            if xid is not None:
                out.append((at, xid[0], xid[1], text[:MAX_TEXT]))
        return out

    def _from_kmsg(self):
        while True:
            try:
                raw = os.read(self._fd, 8192)
            except OSError as exc:
                if exc.errno == errno.EPIPE:  # overwritten while we read: go on with the next
                    continue
                if exc.errno != errno.EAGAIN:
                    self.close()
                    self.source = ""
                return
            if not raw:
                return
            record = parse_kmsg(raw.decode("utf-8", "replace"))
            if record is not None:
                yield record

    def _from_command(self):
        for name, command in (
            ("dmesg", ["dmesg"]),
            ("journal", ["journalctl", "-k", "-b", "-o", "short-monotonic", "--no-pager", "-q"]),
        ):
            text = self._run(command)
            if not text:  # journalctl succeeds with nothing where this account may not read the kernel's log
                continue
            self.source = name
            newest = self._seen_until
            for line in text.splitlines():
                record = parse_dmesg(line)
                if record is not None and record[0] > self._seen_until:
                    newest = max(newest, record[0])
                    yield record
            self._seen_until = newest
            return

    def close(self):
        """Let go of /dev/kmsg."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def _run(command):
    try:
        done = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    except OSError:
        return None
    try:
        out, _ = done.communicate(timeout=5)
    except subprocess.TimeoutExpired:
        done.kill()
        done.communicate()
        return None
    return out.decode("utf-8", "replace") if done.returncode == 0 else None
