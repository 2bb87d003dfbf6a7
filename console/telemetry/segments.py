"""Shared memory between the collector and its readers: plain files mapped by both.

A file in a private folder (tmpfs where there is room) rather than multiprocessing.shared_memory, whose resource
tracker unlinks a live segment when a *reader* ends (CPython issue 82300).
"""

from __future__ import annotations

import contextlib
import logging
import mmap
import os
import shutil
import tempfile
from pathlib import Path

_log = logging.getLogger(__name__)
_PREFIX = "cardkeeper-live-"
_SHM = Path("/dev/shm")


class SegmentError(OSError):
    """Shared memory could not be had; the text says how much was asked for and where."""


class Segment:
    """A mapped file.

    Attributes:
        path: where it lies.
        size: bytes.
        buffer: the mapping; writable only for its creator.
    """

    __slots__ = ("buffer", "path", "size")

    def __init__(self, path: str, size: int, buffer: mmap.mmap) -> None:
        self.path = path
        self.size = size
        self.buffer = buffer

    @classmethod
    def create(cls, path: Path, size: int) -> Segment:
        """A new zeroed segment with its memory reserved.

        Raises:
            SegmentError: no room. Reserving at once turns a later bus error into this error now.
        """
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(fd, 0, size)
            else:
                os.ftruncate(fd, size)
            return cls(str(path), size, mmap.mmap(fd, size))
        except OSError as exc:
            path.unlink(missing_ok=True)
            raise SegmentError(
                exc.errno, f"cannot reserve {size >> 20} MiB for live data in {path.parent}: {exc.strerror}"
            ) from exc
        finally:
            os.close(fd)

    @classmethod
    def attach(cls, path: str, size: int) -> Segment:
        """The segment another process made, read-only.

        Raises:
            OSError: it is gone or shorter than `size`.
        """
        fd = os.open(path, os.O_RDONLY)
        try:
            if os.fstat(fd).st_size < size:
                raise SegmentError(0, f"{path} is shorter than {size} bytes")
            return cls(path, size, mmap.mmap(fd, size, access=mmap.ACCESS_READ))
        finally:
            os.close(fd)


class SegmentFolder:
    """A private folder of segments that is removed with everything in it on `close`.

    Not thread-safe. The folder's name carries the owner's process id, so that a later start can remove what a killed
    process left.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._made = 0

    @classmethod
    def make(cls, need: int = 64 << 20) -> SegmentFolder:
        """A new folder where `need` bytes fit: tmpfs if it has twice that, else the temporary folder."""
        for base in (_SHM, Path(tempfile.gettempdir())):
            if base.is_dir() and os.access(base, os.W_OK):
                remove_leftovers(base)
        base = Path(tempfile.gettempdir())
        if _SHM.is_dir() and os.access(_SHM, os.W_OK) and shutil.disk_usage(_SHM).free >= 2 * need:
            base = _SHM
        return cls(Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=base)))

    def create(self, kind: str, size: int) -> Segment:
        """A new segment of `size` bytes.

        Raises:
            SegmentError: no room.
        """
        self._made += 1
        return Segment.create(self.path / f"{kind}-{self._made}", size)

    def close(self) -> None:
        """Remove the folder; mappings stay valid until their owners drop them."""
        shutil.rmtree(self.path, ignore_errors=True)


def remove_leftovers(base: Path) -> None:
    """Remove our folders in `base` whose owning process is gone."""
    for path in base.glob(f"{_PREFIX}*"):
        with contextlib.suppress(ValueError, OSError):
            pid = int(path.name.removeprefix(_PREFIX).split("-", 1)[0])
            if path.is_symlink() or (hasattr(os, "getuid") and path.stat().st_uid != os.getuid()):
                continue
            if not _is_alive(pid):
                _log.info("removing live data left by process %d", pid)
                shutil.rmtree(path, ignore_errors=True)


def _is_alive(pid: int) -> bool:
    if os.name == "nt":  # os.kill(pid, 0) would end the process there
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
