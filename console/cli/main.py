"""`cardkeeper`: the parser made from the table of commands, and what each outcome means for the exit status."""

from __future__ import annotations

import argparse
import inspect
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from console import __version__, logs
from console.app import Config, Console, ConsoleError, Demo
from console.cli import output
from console.cli.demo import run_demo
from console.commands import registry
from console.fleet.fleetfile import FleetError
from console.fleet.state import Problem, ProblemCode
from console.history.errors import HistoryError
from console.ledger.errors import LedgerError
from console.placement.errors import PlacementError
from console.registry import Command, Danger, Face, Parameter
from console.remote.errors import LinkProblem
from console.shift import handover_text

DONE, FAILED, USAGE = 0, 1, 2
BUSINESS = ("tenant", "plan", "supplier", "region", "sku", "pool", "lease", "meter", "invoice", "ledger", "caller")


def build_parser() -> argparse.ArgumentParser:
    """The parser of every verb."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--fleet", type=Path, default=argparse.SUPPRESS, help="fleet file")
    common.add_argument("--data", type=Path, default=argparse.SUPPRESS, help="folder of local data")
    common.add_argument(
        "--json", action="store_true", default=argparse.SUPPRESS, help="JSON, or NDJSON where it streams"
    )
    common.add_argument(
        "--on", metavar="HOST", default=argparse.SUPPRESS,
        help="let the server of this host do it (a node's name or [USER@]HOST[:PORT]), through SSH",
    )  # fmt: skip
    parser = argparse.ArgumentParser(
        prog="cardkeeper",
        description="Watch and keep a fleet of GPU cards. Without a verb: the window.",
        parents=[common],
    )
    parser.add_argument("--version", action="version", version=f"cardkeeper {__version__}")
    parser.add_argument("--node", dest="begin_node", metavar="NAME", help="the window begins with this node")
    parser.add_argument("--card", dest="begin_card", metavar="UUID", help="the window begins with this card")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB")
    groups: dict[str, Any] = {}
    for command in registry.of(Face.CLI):
        group, _, name = command.id.rpartition(".")
        if group in registry:
            # A verb that has verbs of its own: see _joined.
            group, name = "", f"{group}-{name}"
        if group and group not in groups:
            made = verbs.add_parser(group, help=f"commands of the {group}")
            groups[group] = made.add_subparsers(dest="sub", metavar="VERB", required=True)
        place = groups[group] if group else verbs
        sub = place.add_parser(name, help=command.title, description=command.doc, parents=[common])
        for parameter in command.parameters:
            _add_parameter(sub, parameter)
        sub.set_defaults(command=command)
    demo = verbs.add_parser("demo", help="Run the embedded demo fleet", parents=[common])
    demo.add_argument("--nodes", type=int, default=12)
    demo.add_argument("--cards", type=int, default=8)
    demo.add_argument("--seed", type=int, default=1)
    demo.add_argument("--seconds", type=float, help="end after so long")
    demo.add_argument("--no-window", action="store_true", help="print its state instead of opening the window")
    replay = verbs.add_parser(
        "replay", help="Open the window on a recorded folder, connecting to nothing", parents=[common]
    )
    replay.add_argument("folder", type=Path, help="what history import made, or any --data folder")
    follow = verbs.add_parser("open", help="Open the window where a console:// link points", parents=[common])
    follow.add_argument("link", help="console://FLEET/VIEW/...")
    serve = verbs.add_parser(
        "serve", help="Serve the HTTP API; on loopback unless it has a certificate", parents=[common]
    )
    serve.add_argument("--host", default="127.0.0.1", help="address to listen at")
    serve.add_argument("--port", type=int, default=8089, help="port to listen at")
    serve.add_argument("--cert", type=Path, help="certificate chain, PEM; needed beyond loopback")
    serve.add_argument("--key", type=Path, help="its key, PEM")
    serve.add_argument("--demo", action="store_true", help="over the embedded demo fleet")
    pictures = verbs.add_parser("shots", help="Write a picture of every view", parents=[common])
    pictures.add_argument("directory", type=Path)
    return parser


def _add_parameter(parser: argparse.ArgumentParser, parameter: Parameter) -> None:
    flag = "--" + parameter.name.replace("_", "-")
    if parameter.name == "output":
        parser.add_argument("-o", flag, dest="output", required=parameter.is_required,
                            default=None if parameter.is_required else parameter.default, help=parameter.help)  # fmt: skip
        return
    if parameter.is_many and parameter.is_flag:
        parser.add_argument(flag, dest=parameter.name, action="append", type=parameter.kind, help=parameter.help)
    elif parameter.is_many:
        nargs = "+" if parameter.is_required else "*"
        parser.add_argument(parameter.name, nargs=nargs, type=parameter.kind, help=parameter.help)
    elif parameter.kind is bool:
        parser.add_argument(flag, dest=parameter.name, action="store_true", help=parameter.help)
    elif parameter.is_required and parameter.is_flag:
        parser.add_argument(flag, dest=parameter.name, type=parameter.kind, required=True, help=parameter.help)
    elif parameter.is_required:
        parser.add_argument(parameter.name, help=parameter.help)
    elif parameter.name == "node" and parser.prog.endswith("check"):
        parser.add_argument("node", nargs="?", help=parameter.help)
    else:
        parser.add_argument(
            flag, dest=parameter.name, type=parameter.kind, default=parameter.default, help=parameter.help
        )


def main(
    arguments: list[str],
    window: Callable[[Config], int],
    pictures: Callable[[Config, Path], int],
    printer: Callable[[str], bytes] | None = None,
    serve: Callable[[Console, str, int, Path | None, Path | None], int] | None = None,
) -> int:
    """Run a command line; `window`, `pictures` and `printer` open what knows Qt, `serve` what knows HTTP."""
    logs.configure()
    options = build_parser().parse_args(_joined(arguments))
    given = {k: getattr(options, k) for k in ("fleet", "data") if hasattr(options, k)}
    config = Config(**given)
    as_json = bool(getattr(options, "json", False))
    try:
        if options.verb in (None, "demo"):
            config = replace(config, record=True)
        if options.verb is None:
            begin = ("card", options.begin_card) if options.begin_card else ("node", options.begin_node)
            return window(replace(config, page=begin if begin[1] else None, server=getattr(options, "on", "")))
        if options.verb == "demo":
            config = replace(config, demo=Demo(options.nodes, options.cards, options.seed))
            return run_demo(config, as_json, options.seconds) if options.no_window else window(config)
        if options.verb == "replay":
            return window(replace(config, replay=options.folder, record=False))
        if options.verb == "open":
            return window(replace(config, record=True, link=options.link))
        if options.verb == "serve" and serve is not None:
            if options.demo:
                config = replace(config, demo=Demo())
            return _serve(replace(config, record=True), options, serve)
        if options.verb == "shots":
            return pictures(config, options.directory)
        return _run(options.command, config, options, as_json, printer)
    except FleetError as exc:
        for fault in exc.faults:
            output.complain(str(fault))
        return FAILED
    except LinkProblem as exc:
        found = exc.problem
        if options.verb == "fleet" and _accepts_key(found, options, as_json):
            return main([*arguments, "--fingerprint", found.facts["fingerprint"]], window, pictures, printer, serve)
        why = f" ({found.why})" if found.why else ""
        output.complain(f"{found.what}{why}\nnext: {found.next_step}")
        return FAILED
    except (ConsoleError, HistoryError, LedgerError, PlacementError, OSError) as exc:
        output.complain(f"cardkeeper: {exc}")
        return FAILED
    except KeyboardInterrupt:
        return DONE


def _joined(arguments: list[str]) -> list[str]:
    """`--since -2h` as `--since=-2h`: the parser would take a value that begins with a dash for an option."""
    out: list[str] = []
    for argument in arguments:
        if out and out[-1] in registry and f"{out[-1]}.{argument}" in registry:
            out[-1] += f"-{argument}"
        elif out and out[-1] in ("--since", "--until", "--at") and argument.startswith("-"):
            out[-1] += f"={argument}"
        else:
            out.append(argument)
    return out


def _accepts_key(found: Problem, options: argparse.Namespace, as_json: bool) -> bool:
    """Ask at a terminal whether an unknown key is the node's; never where nobody can answer."""
    is_asked = found.code is ProblemCode.KEY_UNKNOWN and getattr(options, "fingerprint", "") is None and not as_json
    if not is_asked or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    output.complain(f"{found.what}\n{found.facts.get('key_type', 'key')} {found.facts['fingerprint']}")
    output.complain("Compare it with the node's own: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub")
    return output.ask("Record this key? Type yes: ") == "yes"


def _confirms(command: Command, result: dict[str, Any], as_json: bool) -> bool:
    """Ask at a terminal for the word that confirms; where nobody can answer nothing happens."""
    if as_json or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    output.complain(output.intent_text(result))
    return output.ask(f"Type {result['confirm']} to {command.id.replace('.', ' ')}: ") == str(result["confirm"]).lower()


def _run(
    command: Command, config: Config, options: argparse.Namespace, as_json: bool, printer: Callable[[str], bytes] | None
) -> int:
    assert command.run is not None
    values = {p.name: getattr(options, p.name) for p in command.parameters}
    if getattr(options, "on", ""):
        return _run_there(command, config, options.on, values, as_json)
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    console = Console(replace(config, record=command.id == "collect"))
    console.printer = printer
    try:
        if command.connects:
            console.start()
        elif command.reads:
            console.read()
        result = command.run(console, **values)
        if isinstance(result, dict) and result.get("confirm") and _confirms(command, result, as_json):
            seen = result.get("plan")
            digest = {} if seen is None else {"digest": seen["digest"]}
            result = command.run(console, **(values | {"yes": True} | digest))
        return _show(command, result, as_json)
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - what is left must not complain at exit
        return DONE
    finally:
        console.close()


def _run_there(command: Command, config: Config, at: str, values: dict[str, Any], as_json: bool) -> int:
    """The same command, done by a server elsewhere."""
    from console.attached import Attached

    with Attached(at, config.fleet_path) as server:
        result = server.call(command, values)
        if isinstance(result, dict) and result.get("confirm") and _confirms(command, result, as_json):
            seen = result.get("plan")
            digest = {} if seen is None else {"digest": seen["digest"]}
            result = server.call(command, values | {"yes": True} | digest)
        return _show(command, result, as_json)


def _serve(
    config: Config, options: argparse.Namespace, serve: Callable[[Console, str, int, Path | None, Path | None], int]
) -> int:
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    console = Console(config)
    try:
        return serve(console.start(), options.host, options.port, options.cert, options.key)
    finally:
        console.close()


def _show(command: Command, result: Any, as_json: bool) -> int:
    if inspect.isgenerator(result):
        return _show_stream(command, iter(result), as_json)
    wants_word = isinstance(result, dict) and bool(result.get("confirm"))
    if wants_word:
        output.complain("nothing was done; give --yes to do it")
    if as_json:
        output.write_json(result)
        is_wrong = command.id == "ledger.verify" and not result["ok"]
        return FAILED if wants_word or is_wrong else DONE
    match command.id:
        case "nodes":
            output.write_line(output.nodes_table(result))
        case "cards":
            output.write_line(output.cards_table(result))
        case "fleet.import":
            for warning in result["warnings"]:
                output.complain(f"warning: {warning}")
            text = f"{result['nodes']} nodes written to {result['output']}"
            output.write_line(result["fleet"] if result["fleet"] is not None else text)
        case "history.query":
            output.write_line(result if isinstance(result, str) else output.series_table(result))
        case "history.stats":
            output.write_line(output.stats_table(result))
        case "history.prune":
            output.write_line(output.cuts_table(result))
        case name if command.danger is Danger.NODE and name not in ("fleet.trust",):
            output.write_line(output.intent_text(result))
            return FAILED if wants_word else DONE
        case "findings":
            output.write_line(output.findings_table(result))
        case "alarms.list":
            output.write_line(output.alarms_table(result))
        case "evidence":
            output.write_line(f"{result['file']}: {len(result['files'])} files")
            if result["unreachable"]:
                output.complain(f"without what the node itself would say: {result['unreachable']}")
        case "handover":
            output.write_line(handover_text(result))
        case "lemons":
            output.write_line(output.lemons_table(result))
        case "why":
            output.write_line(output.verdict_text(result))
        case "verify":
            output.write_line(output.checks_text(result))
            return DONE if all(r["passed"] for r in result) else FAILED
        case "holds":
            output.write_line(output.holds_table(result))
        case "operations.list":
            output.write_line(output.operations_table(result))
        case "operations.show":
            output.write_line(output.operation_text(result))
        case "sudoers":
            output.write_line(f"# {result['path']}\n{result['helper']}\n{result['sudoers']}")
        case "ledger.verify":
            output.write_line(output.record_text(result))
            return DONE if result["ok"] else FAILED
        case "invoice.draft" | "invoice.issue" | "invoice.show" | "invoice.under" | "ledger.what-if":
            output.write_line(output.invoice_text(result))
        case name if name.split(".")[0] in BUSINESS:
            output.write_line(output.records_table(result) if isinstance(result, list) else output.record_text(result))
        case "fleet.trust":
            recorded = result["recorded"]
            output.write_line(f"recorded {recorded}" if recorded else f"every host key to {result['node']} is known")
        case _:
            output.write_json(result)
    return DONE


def _show_stream(command: Command, rows: Iterator[Any], as_json: bool) -> int:
    """NDJSON or lines; `fleet check` fails when a step failed."""
    failed = False
    for row in rows:
        failed = failed or row.get("status") == "fail"
        if as_json:
            output.write_json(row)
        else:
            output.write_line(output.LINES.get(command.id, output.watch_line)(row))
    if failed:
        output.complain("cardkeeper: some checks failed; the lines above say what to do")
    return FAILED if failed else DONE
