"""`concordat node …`: arguments in, exit code out; what a command needs is imported when it runs."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from concordat_node.log_cli import register_log

if TYPE_CHECKING:
    from concordat_node.settings import Settings
    from concordat_trust.canonical import JsonObject
    from concordat_trust.errors import ConcordatError

# DESIGN section 12.
EXIT_DONE, EXIT_UNEXPECTED, EXIT_USAGE, EXIT_TRUST, EXIT_FINDING, EXIT_UNREACHABLE = 0, 1, 2, 6, 7, 8

Command = Callable[[argparse.Namespace], int]


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `node` and its commands; each sets `run(arguments) -> exit code`."""
    parser = subparsers.add_parser("node", help="run an organization's node")
    commands = parser.add_subparsers(dest="node_command", required=True, metavar="COMMAND")
    _register_init(commands)
    serve = _command(commands, "serve", "answer signed questions until SIGINT or SIGTERM", run_serve)
    serve.add_argument("--host", help="address to listen on (default: the setting host)")
    serve.add_argument("--port", type=int, help="port to listen on (default: the setting port; 0 takes a free one)")
    load = _command(commands, "import", "import records from a file with one JSON object per line", run_import)
    load.add_argument("file", type=Path, metavar="FILE", help="the NDJSON file, or one Croissant description")
    load.add_argument("--format", choices=("ndjson", "croissant"), default="ndjson", help="default: ndjson")
    load.add_argument("--policy", type=Path, metavar="FILE", help="with croissant: the policy object, as JSON")
    load.add_argument("--local-name", metavar="NAME", help="with croissant: default is the name of FILE without ending")
    doctor = _command(commands, "doctor", "say what this node has and what it lacks, with the fix", run_doctor)
    doctor.add_argument(
        "--claims-sample", type=Path, metavar="FILE", help="only say what these claims of a provider are mapped to"
    )
    log = commands.add_parser("log", help="read, check and prove the disclosure log")
    entries = log.add_subparsers(dest="log_command", required=True, metavar="COMMAND")
    register_log(partial(_command, entries))


def _register_init(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    init = commands.add_parser("init", help="make settings, keys and folders of a new node")
    init.add_argument("--settings", type=Path, required=True, metavar="FILE", help="settings file to write")
    init.add_argument("--organization", required=True, metavar="ID", help="this organization's id in the network")
    init.add_argument("--root-sha256", required=True, metavar="HEX", help="fingerprint of the network's first root")
    init.add_argument("--mirror", action="append", required=True, metavar="URL", help="bundle repository; repeatable")
    init.add_argument("--data-dir", type=Path, default=Path("data"), metavar="DIR", help="default: data, beside FILE")
    init.add_argument("--purpose", action="append", default=[], metavar="CODE", help="purpose to answer to; repeatable")
    init.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    init.add_argument("--port", type=int, default=8420, help="port to listen on (default 8420)")
    init.add_argument("--json", action="store_true", help="one JSON object on standard output")
    init.set_defaults(run=_telling(run_init))


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str, run: Command
) -> argparse.ArgumentParser:
    epilog = "Settings that are not in the file come from CONCORDAT_NODE_* in the environment, which stands over it."
    parser = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".", epilog=epilog)
    parser.add_argument("--settings", type=Path, metavar="FILE", help="JSON file of settings")
    parser.add_argument("--json", action="store_true", help="JSON on standard output")
    parser.set_defaults(run=_telling(run))
    return parser


def _telling(run: Command) -> Command:
    """Turn an error into its sentence, its hint and its exit code."""

    def telling(arguments: argparse.Namespace) -> int:
        from concordat_trust.errors import ConcordatError

        logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
        for library in ("alembic", "tuf", "uvicorn.error"):
            logging.getLogger(library).setLevel(logging.WARNING)
        try:
            return run(arguments)
        except ConcordatError as error:
            if arguments.json:
                print(json.dumps({"error": error.to_json()}))
            else:
                print(f"{error.code}: {error.message}\n{error.hint}", file=sys.stderr)
            return exit_code(error)
        except KeyboardInterrupt:
            return EXIT_DONE

    return telling


def exit_code(error: ConcordatError) -> int:
    """Return the exit code of DESIGN section 12 for an error."""
    from concordat_node.errors import NodeNotMember
    from concordat_node.ledger.commands import LogContradictsCheckpoint
    from concordat_node.settings import SettingInvalid, SettingMissing, SettingsUnreadable, SettingUnknown
    from concordat_trust.errors import PeerFailure, RefusedDocument

    if isinstance(error, RefusedDocument | NodeNotMember):
        return EXIT_TRUST
    if isinstance(error, PeerFailure):
        return EXIT_UNREACHABLE
    if isinstance(error, LogContradictsCheckpoint):
        return EXIT_FINDING
    if isinstance(error, SettingInvalid | SettingMissing | SettingUnknown | SettingsUnreadable):
        return EXIT_USAGE
    return EXIT_UNEXPECTED


def run_init(arguments: argparse.Namespace) -> int:
    """Make a new node; what is there already is never overwritten."""
    from concordat_node.setup import NewNode, init_node

    made = init_node(
        NewNode(
            settings=arguments.settings,
            organization=arguments.organization,
            root_sha256=arguments.root_sha256,
            mirrors=tuple(arguments.mirror),
            data_dir=arguments.data_dir,
            purposes=tuple(arguments.purpose),
            host=arguments.host,
            port=arguments.port,
        )
    )
    _print(arguments, made, f"{arguments.settings} written; publish the keys of `public_keys` in the entity statement")
    return EXIT_DONE


def run_serve(arguments: argparse.Namespace) -> int:
    """Serve until a signal."""
    from concordat_node.serve import serve

    settings = _settings(arguments)

    def announce(address: str) -> None:
        organization = settings.organization
        told: JsonObject = {"address": address, "event": "serving", "organization": organization}
        _print(arguments, told, f"{organization} answers on {address}")

    serve(settings, announce)
    return EXIT_DONE


def run_import(arguments: argparse.Namespace) -> int:
    """Import a file; 7 when a line was refused, and every good line is stored even then."""
    from concordat_node.setup import import_croissant, import_file

    if arguments.format == "croissant":
        name = arguments.local_name or arguments.file.stem
        report = import_croissant(_settings(arguments), arguments.file, policy=arguments.policy, local_name=name)
    else:
        report = import_file(_settings(arguments), arguments.file)
    if arguments.json:
        print(json.dumps(report.to_json()))
    else:
        for line in report.lines:
            if not line.ok:
                print(f"line {line.line}: {line.code} {line.field or ''}: {line.message}", file=sys.stderr)
        print(f"{report.imported} imported, {report.refused} refused")
    return EXIT_FINDING if report.refused else EXIT_DONE


def run_doctor(arguments: argparse.Namespace) -> int:
    """Look at everything a node needs; 7 when something is missing."""
    from concordat_node.doctor import examine, examine_sample

    settings, sample = _settings(arguments), arguments.claims_sample
    findings = examine(settings) if sample is None else (examine_sample(settings, sample),)
    is_well = all(finding.ok for finding in findings)
    if arguments.json:
        print(json.dumps({"ok": is_well, "findings": [finding.to_json() for finding in findings]}))
    else:
        for finding in findings:
            print(f"{'ok  ' if finding.ok else 'FAIL'} {finding.name}: {finding.message}")
            if finding.hint:
                print(f"     {finding.hint}")
    return EXIT_DONE if is_well else EXIT_FINDING


def _settings(arguments: argparse.Namespace) -> Settings:
    from concordat_node.settings import SettingInvalid, read_settings

    settings = read_settings(arguments.settings, os.environ)
    if getattr(arguments, "host", None) is not None:
        settings = replace(settings, host=arguments.host)
    if getattr(arguments, "port", None) is not None:
        if not 0 <= arguments.port <= 65_535:
            raise SettingInvalid(setting="port", problem="is not a port number")
        settings = replace(settings, port=arguments.port)
    return settings


def _print(arguments: argparse.Namespace, told: JsonObject, sentence: str) -> None:
    print(json.dumps(told) if arguments.json else sentence)
    sys.stdout.flush()
