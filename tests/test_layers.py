"""Who may import whom, what may print, and how long a file may be."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted([*(ROOT / "console").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")])


def test_the_command_line_does_not_load_qt_plots_or_sqlite():
    code = (
        "import sys, console.cli.main; print([m for m in ('PySide6', 'pyqtgraph', 'sqlite_utils') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_stay_readable(path):
    assert len(path.read_text("utf-8").splitlines()) <= 480


def test_raw_text_widgets_are_used_in_one_place_only():
    banned = {"QLabel", "QMessageBox", "setToolTip", "setTitle", "setWhatsThis"}
    for path in (ROOT / "console" / "ui").rglob("*.py"):
        if path.name == "text.py":
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
            if name == "setToolTip" and path.name == "parts.py":
                continue  # an item's tip, given through tip()
            assert name not in banned, f"{path.name}:{node.lineno} uses {name}"


def test_the_import_contracts_catch_a_planted_breach(tmp_path):
    import shutil

    shutil.copytree(ROOT / "console", tmp_path / "console", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "plugins", tmp_path / "plugins", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "console" / "fleet" / "show.py").write_text("import PySide6\n")
    code = "import sys; sys.path.insert(0, '.'); from importlinter.cli import lint_imports_command as c; c()"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Only the window knows Qt BROKEN" in done.stdout
