"""`python -m console` and the command `cardkeeper`: the only place that opens the window, and lazily."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from console.spawn import COLLECTOR, DEMO_SERVER

if TYPE_CHECKING:
    from console.app import Config, Console


def _window(config: Config) -> int:
    from console.ui.main import run

    return run(config)


def _pictures(config: Config, directory: Path) -> int:
    from console.ui.shots import run

    return run(config, directory)


def _pdf(report: str) -> bytes:
    from console.ui.pdf import pdf_of

    return pdf_of(report)


def _serve(console: Console, host: str, port: int, cert: Path | None, key: Path | None) -> int:
    from console.api.server import serve

    return serve(console, host, port, cert, key)


def main() -> int:
    """Dispatch: the two child processes first, as they must start fast, then the command line."""
    arguments = sys.argv[1:]
    if arguments[:1] == [COLLECTOR]:
        from console.collect import main as collect

        return collect()
    if arguments[:1] == [DEMO_SERVER]:
        from console.demo.__main__ import main as serve

        return serve(arguments[1:])
    if not arguments or (arguments[0] == "demo" and "--no-window" not in arguments and "-h" not in arguments):
        from console.ui.early import show_early

        show_early()
    from console.cli.main import main as command_line

    return command_line(arguments, _window, _pictures, _pdf, _serve)


if __name__ == "__main__":
    sys.exit(main())
