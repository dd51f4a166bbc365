"""`concordat coordinator serve`: arguments in, exit code out; what the command needs is imported when it runs."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concordat_coordinator.settings import Settings
    from concordat_trust.errors import ConcordatError

EXIT_DONE, EXIT_UNEXPECTED, EXIT_USAGE, EXIT_TRUST, EXIT_UNREACHABLE = 0, 1, 2, 6, 8


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `coordinator` and its commands; each sets `run(arguments) -> exit code`."""
    parser = subparsers.add_parser("coordinator", help="run an untrusted relay between organizations")
    commands = parser.add_subparsers(dest="coordinator_command", required=True, metavar="COMMAND")
    serve = commands.add_parser(
        "serve",
        help="relay signed questions to the nodes of a network",
        description="Relay signed questions to the nodes of a network until SIGINT or SIGTERM.",
        epilog="Settings not given here come from --settings and from CONCORDAT_COORDINATOR_* in the environment.",
    )
    serve.add_argument("--settings", type=Path, metavar="FILE", help="JSON file of settings")
    serve.add_argument("--host", help="address to listen on (default 127.0.0.1)")
    serve.add_argument("--port", type=int, help="port to listen on (default 8430; 0 takes a free one)")
    serve.add_argument("--json", action="store_true", help="one JSON object per event on standard output")
    serve.set_defaults(run=run_serve)


def run_serve(arguments: argparse.Namespace) -> int:
    """Serve until a signal; return 0, or the code for what stopped the start."""
    from concordat_trust.errors import ConcordatError

    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    for library in ("tuf", "uvicorn.error"):
        logging.getLogger(library).setLevel(logging.WARNING)
    try:
        settings = _settings(arguments)
        _serve(settings, as_json=arguments.json)
    except ConcordatError as error:
        _tell_error(error, as_json=arguments.json)
        return _exit_code(error)
    except KeyboardInterrupt:
        return EXIT_DONE  # before the server took the signals over: nothing was under way
    return EXIT_DONE


def _settings(arguments: argparse.Namespace) -> Settings:
    from concordat_coordinator.errors import CoordinatorSettingInvalid
    from concordat_coordinator.settings import read_settings

    settings = read_settings(arguments.settings, os.environ)
    if arguments.host is not None:
        settings = replace(settings, host=arguments.host)
    if arguments.port is not None:
        if not 0 <= arguments.port <= 65_535:
            raise CoordinatorSettingInvalid(setting="--port", problem="is not a port number")
        settings = replace(settings, port=arguments.port)
    return settings


def _serve(settings: Settings, *, as_json: bool) -> None:
    from concordat_coordinator.app import serve

    def announce(address: str) -> None:
        if as_json:
            print(json.dumps({"event": "serving", "organization": settings.organization, "address": address}))
        else:
            print(f"{settings.organization} relays on {address}")
        sys.stdout.flush()

    asyncio.run(serve(settings, announce))


def _tell_error(error: ConcordatError, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"error": error.to_json()}))
    else:
        print(f"{error.code}: {error.message}\n{error.hint}", file=sys.stderr)


def _exit_code(error: ConcordatError) -> int:
    from concordat_coordinator.errors import CoordinatorNotMember, CoordinatorSettingInvalid
    from concordat_trust.errors import PeerFailure, RefusedDocument

    if isinstance(error, RefusedDocument | CoordinatorNotMember):
        return EXIT_TRUST
    if isinstance(error, PeerFailure):
        return EXIT_UNREACHABLE
    return EXIT_USAGE if isinstance(error, CoordinatorSettingInvalid) else EXIT_UNEXPECTED
