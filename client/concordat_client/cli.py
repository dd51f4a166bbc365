"""The umbrella command `concordat`. A command's module is imported when that command runs, and not before.

Rules of this file:

* `concordat --help` imports nothing but argparse: what it says about each command stands here.
* A command's parser sets `run` (or `handler`): a function from the arguments to an exit code (DESIGN section 12).
* Errors leave as their sentence, their hint and their exit code; with --json as {"error": {code, message, hint}} on
  standard output. Texts of other parties are neutralised before they are printed.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concordat_trust.errors import ConcordatError

EXIT_UNEXPECTED, EXIT_USAGE = 1, 2


@dataclass(frozen=True, slots=True)
class Command:
    """One top-level command: the module whose `register` adds it, and the extra that brings the module."""

    name: str
    module: str
    help: str
    extra: str | None = None


COMMANDS = (
    Command("demo", "concordat_client.demo.command", "run three organizations here and ask them one question", "demo"),
    Command(
        "demo-provider",
        "concordat_client.demo.identity_provider",
        "run the demonstration's identity provider, on this machine only",
    ),
    Command(
        "demo-found",
        "concordat_client.demo.containers",
        "found the demonstration's network for its containers",
        "demo",
    ),
    Command("doctor", "concordat_client.doctor", "say what is there and what is missing, with the fix"),
    Command("login", "concordat_client.login", "sign in at your home node"),
    Command("logout", "concordat_client.login", "sign out; stored searches are gone"),
    Command("whoami", "concordat_client.login", "say who you are to the network"),
    Command("search", "concordat_client.search", "ask every organization one question"),
    Command("show", "concordat_client.show", "show one record by its id"),
    Command("lineage", "concordat_client.lineage", "walk what a record came from, or what came from it"),
    Command("verify", "concordat_client.verify", "check a saved answer or walk offline"),
    Command("verify-log", "concordat_client.verify_log", "check a proof about a disclosure log offline"),
    Command("bench", "concordat_client.bench.command", "measure what is committed to, beside its references", "demo"),
    Command("trust", "concordat_client.trust_commands", "found, serve, fetch and verify a network's trust bundle"),
    Command("node", "concordat_node.cli", "run an organization's node", "node"),
    Command("coordinator", "concordat_coordinator.cli", "run an untrusted relay between organizations", "coordinator"),
)


_DESCRIPTION = "Find AI models and data sets across organizations that keep them apart on purpose."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    chosen = next((c for c in COMMANDS if given and c.name == given[0]), None)
    try:
        parser = build_parser(chosen)
    except ModuleNotFoundError as error:
        return _missing(error, chosen)
    options = parser.parse_args(given)
    run: Callable[[argparse.Namespace], int] | None = getattr(options, "run", None) or getattr(options, "handler", None)
    if run is None:
        parser.print_help()
        return EXIT_USAGE
    return _run(run, options, chosen)


def build_parser(chosen: Command | None) -> argparse.ArgumentParser:
    """Return the parser, with the whole of the chosen command and one line for each of the others."""
    parser = argparse.ArgumentParser(prog="concordat", description=_DESCRIPTION)
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(metavar="COMMAND", title="commands")
    registered = None if chosen is None else chosen.module
    for command in COMMANDS:
        if command.module != registered:
            commands.add_parser(command.name, help=command.help, add_help=False)
        elif command.name not in commands.choices:
            importlib.import_module(command.module).register(commands)
    return parser


def _run(run: Callable[[argparse.Namespace], int], options: argparse.Namespace, chosen: Command | None) -> int:
    from concordat_trust.errors import ConcordatError

    try:
        return int(run(options))
    except ConcordatError as error:
        return _told(error, as_json=getattr(options, "json", False))
    except ModuleNotFoundError as error:
        return _missing(error, chosen)
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return EXIT_UNEXPECTED
    except BrokenPipeError:
        # Whoever read our output has stopped reading; there is nobody left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_UNEXPECTED


def _told(error: ConcordatError, *, as_json: bool) -> int:
    from concordat_client.exits import exit_of
    from concordat_client.plain_text import plain

    told = {name: plain(text) for name, text in error.to_json().items()}
    if as_json:
        print(json.dumps({"error": told}))
    else:
        print(f"{told['code']}: {told['message']}\n  {told['hint']}", file=sys.stderr)
    return exit_of(error)


def _missing(error: ModuleNotFoundError, chosen: Command | None) -> int:
    extra = "" if chosen is None or chosen.extra is None else f"[{chosen.extra}]"
    print(f"concordat: this command needs {error.name}, which is not installed.", file=sys.stderr)
    print(f"  pip install 'concordat-federation{extra}'", file=sys.stderr)
    return EXIT_USAGE


class _Version(argparse.Action):
    """Prints the version; looked up only now, because that reads the installed packages."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib import metadata

        try:
            print(f"concordat {metadata.version('concordat-federation')}")
        except metadata.PackageNotFoundError:
            print("concordat (not installed)")
        parser.exit()


if __name__ == "__main__":
    sys.exit(main())
