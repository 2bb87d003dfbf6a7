"""The agent as it goes over the wire: its sources and pynvml.py, compressed, behind a constant one-line bootstrap.

Sent on standard input, never as a file and never as an argument (Linux caps one argument at 128 KiB).
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from console.fleet.names import is_python

PACKAGE = "cardkeeper_agent"
_FOLDER = Path(__file__).resolve().parent.parent / "agent"

# Python 3.6; only characters that stay themselves within single quotes in sh, bash, dash, csh and fish. The first line
# of standard input says how many bytes of program follow it, their hash and the configuration.
_BOOTSTRAP = (
    "import sys,json,zlib,hashlib;"
    'i=sys.stdin.buffer;h=json.loads(i.readline().decode());n=h["bundle"];d=i.read(n);'
    'w=hashlib.sha256(d).hexdigest()==h["sha256"] or sys.exit("the program was damaged on its way");'
    "b=json.loads(zlib.decompress(d).decode());"
    'exec(compile(b["loader"],"cardkeeper_loader","exec"),{"bundle":b,"config":h["config"]})'
)

# Loads modules out of the bundle; linecache makes tracebacks show their source.
_LOADER = """
import importlib.abc, importlib.util, linecache, sys

sources = {m[0]: (m[1], m[2]) for m in bundle["modules"]}


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        if name not in sources:
            return None
        return importlib.util.spec_from_loader(name, self, is_package=sources[name][1])

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        name = module.__name__
        source = sources[name][0]
        file = "<" + name + ">"
        linecache.cache[file] = (len(source), None, source.splitlines(True), file)
        module.__file__ = file
        exec(compile(source, file, "exec"), module.__dict__)


sys.meta_path.insert(0, Finder())
importlib.import_module(bundle["entry"]).main(config)
"""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A compressed program. `data` is what follows the header line."""

    data: bytes
    sha256: str

    def header(self, config: dict[str, Any]) -> bytes:
        """The first line for standard input."""
        return json.dumps({"bundle": len(self.data), "sha256": self.sha256, "config": config}).encode() + b"\n"


def command(python: str) -> str:
    """The remote command; `python` is its only variable part.

    Raises:
        ValueError: `python` is no interpreter path.
    """
    if not is_python(python):
        raise ValueError(f"{python!r} is not an interpreter path")
    return f"{python} -u -c '{_BOOTSTRAP}'"


def build(folder: Path, extra: dict[str, Path], entry: str = "main", only: tuple[str, ...] = ()) -> Bundle:
    """A bundle of the package in `folder` (as PACKAGE; of its modules `only` these) and modules `extra` {name: file}.

    Raises:
        OSError: a source cannot be read.
    """
    modules: list[tuple[str, str, bool]] = []
    for file in sorted(folder.glob("*.py")):
        is_package = file.stem == "__init__"
        if only and not is_package and file.stem not in only:
            continue
        name = PACKAGE if is_package else f"{PACKAGE}.{file.stem}"
        modules.append((name, file.read_text("utf-8"), is_package))
    modules += [(name, file.read_text("utf-8"), False) for name, file in sorted(extra.items())]
    body = {"entry": f"{PACKAGE}.{entry}", "loader": _LOADER, "modules": modules}
    data = zlib.compress(json.dumps(body).encode(), 9)
    return Bundle(data, hashlib.sha256(data).hexdigest())


@functools.cache
def agent_bundle() -> Bundle:
    """The agent of this console with the pynvml installed beside it.

    Raises:
        OSError: the sources are not there (a damaged installation).
    """
    return build(_FOLDER, {"pynvml": _binding()})


@functools.cache
def answer_bundle(with_nvml: bool, with_evidence: bool = False) -> Bundle:
    """What answers one question and ends: the card book alone, or with what looks at the cards, or keeps evidence.

    Raises:
        OSError: the sources are not there (a damaged installation).
    """
    if with_nvml:
        return build(_FOLDER, {"pynvml": _binding()}, "answer", ("answer", "book", "processes", "verdict"))
    more = ("evidence",) if with_evidence else ()
    return build(_FOLDER, {}, "answer", ("answer", "book", *more))


def _binding() -> Path:
    frozen = _FOLDER / "vendor" / "pynvml.py"
    if frozen.exists():
        return frozen
    spec = importlib.util.find_spec("pynvml")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("pynvml is not installed: pip install nvidia-ml-py")
    return Path(spec.origin)
