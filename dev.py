"""Everything a developer or a first-time user runs: python3 dev.py run|test|bench|build|shots. Standard library only.

It makes `.venv` beside itself, installs exactly the hash-pinned packages of `requirements/`, and, as root on Debian or
Ubuntu, the system packages that Qt and the tests need; otherwise it prints the one command that does.
"""

from __future__ import annotations

import ctypes.util
import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

# library -> Debian package
QT_LIBRARIES = {
    "EGL": "libegl1",
    "GL": "libgl1",
    "xkbcommon": "libxkbcommon0",
    "xkbcommon-x11": "libxkbcommon-x11-0",
    "dbus-1": "libdbus-1-3",
    "fontconfig": "libfontconfig1",
    "xcb-cursor": "libxcb-cursor0",
    "xcb-icccm": "libxcb-icccm4",
    "xcb-image": "libxcb-image0",
    "xcb-keysyms": "libxcb-keysyms1",
    "xcb-randr": "libxcb-randr0",
    "xcb-render-util": "libxcb-render-util0",
    "xcb-shape": "libxcb-shape0",
}
# program -> Debian package, for the tests
TEST_PROGRAMS = {
    "/usr/sbin/sshd": "openssh-server",
    "ssh-keygen": "openssh-client",
    "cc": "gcc",
    "/usr/sbin/slurmctld": "slurmctld",
    "/usr/sbin/slurmd": "slurmd",
    "sbatch": "slurm-client",
    "/usr/sbin/munged": "munge",
    "setfacl": "acl",
    "/usr/sbin/visudo": "sudo",
}
FONTS = {"/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf": "fonts-dejavu-core"}
VERBS = ("run", "test", "bench", "build", "shots")


def say(text: str) -> None:
    """Tell the person at the terminal."""
    print(f"dev: {text}", file=sys.stderr, flush=True)


def fail(text: str) -> None:
    """Tell what is wrong and end."""
    say(text)
    sys.exit(1)


def environment() -> dict[str, str]:
    """The environment of what we start: no user site, our own virtual environment first."""
    env = dict(os.environ, PYTHONNOUSERSITE="1", VIRTUAL_ENV=str(VENV))
    env["PATH"] = f"{PYTHON.parent}{os.pathsep}{env.get('PATH', '')}"
    env.pop("PYTHONHOME", None)
    return env


def call(command: list[str], **options: object) -> int:
    """Run a command in the project's folder; its exit status."""
    return subprocess.call(command, cwd=ROOT, env=environment(), **options)  # type: ignore[call-overload, no-any-return]


def ensure_packages(kinds: tuple[str, ...]) -> None:
    """Make the virtual environment and install `requirements/KIND.txt`, unless that was done for these very files."""
    files = [ROOT / "requirements" / f"{kind}.txt" for kind in kinds]
    wanted = hashlib.sha256(sys.version.encode() + b"".join(f.read_bytes() for f in files)).hexdigest()
    stamps = [VENV / f".installed-{kind}" for kind in kinds]
    if PYTHON.exists() and all(s.exists() and s.read_text() == wanted for s in stamps):
        return
    if not PYTHON.exists():
        say(f"making {VENV.name}")
        subprocess.check_call([sys.executable, "-m", "venv", str(VENV)])
    say(f"installing {', '.join(f.name for f in files)}")
    command = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    for file in files:
        command += ["-r", str(file)]
    if call(command) != 0:
        fail("the packages could not be installed; see pip's message above")
    for stamp in stamps:
        stamp.write_text(wanted)


def missing_packages(for_tests: bool) -> list[str]:
    """Debian packages that are not there."""
    missing = [p for name, p in QT_LIBRARIES.items() if ctypes.util.find_library(name) is None]
    missing += [p for path, p in FONTS.items() if not Path(path).exists() and not shutil.which("fc-list")]
    if for_tests:
        missing += [p for name, p in TEST_PROGRAMS.items() if shutil.which(name) is None and not Path(name).exists()]
        missing += [p for path, p in FONTS.items() if not Path(path).exists()]
    return list(dict.fromkeys(missing))


def ensure_system(for_tests: bool) -> None:
    """Install missing system packages as root on Debian or Ubuntu; otherwise print the command that does."""
    if not sys.platform.startswith("linux"):
        return
    missing = missing_packages(for_tests)
    if not missing:
        return
    command = ["apt-get", "install", "-y", "--no-install-recommends", *missing]
    if shutil.which("apt-get") is None:
        fail(f"these libraries are missing (names on Debian): {' '.join(missing)}")
    if os.geteuid() != 0:
        fail(f"system packages are missing. Run: sudo {' '.join(command)}")
    say(f"installing {' '.join(missing)}")
    quiet = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    subprocess.call(["apt-get", "update", "-qq"], env=quiet, stdout=subprocess.DEVNULL)
    if subprocess.call(command, env=quiet, stdout=subprocess.DEVNULL) != 0:
        fail(f"apt-get failed. Try by hand: {' '.join(command)}")


def has_display() -> bool:
    """Whether a window can be shown."""
    if not sys.platform.startswith("linux") or os.environ.get("QT_QPA_PLATFORM"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def run(arguments: list[str]) -> int:
    """Start the console with `arguments`."""
    ensure_packages(("run",))
    wants_window = not arguments or (arguments[0] == "demo" and "--no-window" not in arguments)
    if arguments and arguments[0].startswith("--") and arguments[0] not in ("--version", "--help"):
        wants_window = True
    if arguments[:1] == ["--shots"]:
        return shots(arguments[1:])
    if wants_window:
        ensure_system(for_tests=False)
        if not has_display():
            fail("there is no display. For pictures of every view: python3 dev.py run --shots DIR")
    return call([str(PYTHON), "-m", "console", *arguments])


def shots(arguments: list[str]) -> int:
    """Write a picture of every view."""
    ensure_packages(("run",))
    ensure_system(for_tests=False)
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    return call([str(PYTHON), "-m", "console", "shots", *(arguments or ["shots"])])


def test(arguments: list[str]) -> int:
    """Lint, types, import contracts and all tests; arguments go to pytest."""
    ensure_packages(("run", "dev"))
    ensure_system(for_tests=True)
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    bad = []
    if not arguments:
        for name, command in (
            ("lint", ["-m", "ruff", "check", "."]),
            ("format", ["-m", "ruff", "format", "--check", "."]),
            ("types", ["-m", "mypy"]),
            ("imports", ["-c", "from importlinter.cli import lint_imports_command as c; c()"]),
        ):
            say(name)
            if call([str(PYTHON), *command]) != 0:
                bad.append(name)
    say("tests")
    code, counts = run_pytest(arguments)
    if code != 0:
        bad.append("tests")
    if bad:
        say(f"FAILED: {', '.join(bad)}")
    print(counts, flush=True)
    return 1 if bad else 0


def run_pytest(arguments: list[str]) -> tuple[int, str]:
    """pytest's exit status and its summary as `N passed, N failed, N skipped`."""
    process = subprocess.Popen(
        [str(PYTHON), "-m", "pytest", *arguments], cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True
    )
    last = ""
    assert process.stdout is not None
    for line in process.stdout:
        sys.stdout.write(line)
        sys.stdout.flush()
        last = line if re.search(r"\d+ (passed|failed|error)", line) else last
    counts = {k: int(n) for n, k in re.findall(r"(\d+) (passed|failed|skipped|error)", last)}
    failed = counts.get("failed", 0) + counts.get("error", 0)
    return process.wait(), f"{counts.get('passed', 0)} passed, {failed} failed, {counts.get('skipped', 0)} skipped"


def bench(arguments: list[str]) -> int:
    """Measure and print JSON."""
    ensure_packages(("run", "dev"))
    ensure_system(for_tests=True)
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    return call([str(PYTHON), "-m", "tests.bench", *arguments])


def build(arguments: list[str]) -> int:
    """Make the one-folder binary and try it."""
    ensure_packages(("run", "dev"))
    ensure_system(for_tests=False)
    code = call([str(PYTHON), "-m", "PyInstaller", "--noconfirm", "--log-level", "WARN", "build.spec", *arguments])
    if code != 0:
        return code
    return call([str(PYTHON), "-m", "tests.frozen_check"])


def main() -> int:
    """Dispatch to a verb."""
    if sys.version_info < (3, 11):  # noqa: UP036 - an old python3 must hear why
        fail(f"Python 3.11 or newer is needed; this is {sys.version.split()[0]}")
    verb, arguments = (sys.argv[1], sys.argv[2:]) if len(sys.argv) > 1 else ("", [])
    if verb not in VERBS:
        fail(f"usage: python3 dev.py {'|'.join(VERBS)} [ARGS]")
    verbs = {"run": run, "test": test, "bench": bench, "build": build, "shots": shots}
    try:
        return verbs[verb](arguments)
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
