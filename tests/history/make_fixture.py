"""Makes the file that later versions must be able to bring up to date: `python -m tests.history.make_fixture`.

Run once when a version of the file is released; what it wrote is then never changed.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from pathlib import Path

from console.fleet.model import NodeEvent
from console.history.schema import FILE, VERSION
from tests.history.fleet_of import T0, Taped

FIXTURES = Path(__file__).resolve().parent / "files"


def make(folder: Path) -> None:
    """Some minutes of two cards, an event and a state, in the file of this version."""
    taped = Taped(folder, cards=1)
    taped.recorder.stated("n0", "note", b"{}")
    taped.recorder.happened(
        NodeEvent("n0", "GPU-n0-0", T0 + 10, T0 + 10, "xid", 79, "nvml", "GPU has fallen off the bus")
    )
    taped.run(150)
    taped.recorder.close()
    with sqlite3.connect(folder / FILE, isolation_level=None) as db:
        db.execute("PRAGMA journal_mode = DELETE")
        db.execute("VACUUM")
    db.close()


if __name__ == "__main__":
    target = FIXTURES / f"telemetry-v{VERSION}.sqlite"
    FIXTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as made:
        make(Path(made))
        if target.exists():
            raise SystemExit(f"{target} exists and is never changed")
        shutil.copy(Path(made) / FILE, target)
