"""`concordat trust …`: the parser; what the commands do is in `trust_actions` and imported when one runs."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from concordat_client.life_commands import register_life

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

Handler = Callable[[argparse.Namespace], int]
ONLINE_PORT = 8790


def register(subparsers: Subparsers) -> None:
    """Add `trust` with its commands; each sets `handler`, a function from the arguments to the exit code."""
    trust = subparsers.add_parser("trust", help="found, serve, fetch and verify a network's trust bundle")
    commands = trust.add_subparsers(dest="trust_command", required=True, metavar="COMMAND")
    _init(commands)
    _sign_online(commands)
    _suspend(commands)
    register_life(lambda name, sentence: _command(commands, name, sentence))
    _fetch(commands)
    _show(commands)
    _verify(commands)
    _diff(commands)
    _verify_split(commands)
    _tuf_client(commands)


def _init(commands: Subparsers) -> None:
    parser = _command(commands, "init", "found a network, with all keys in one place or with keyholders apart")
    parser.add_argument("--topology", type=Path, required=True, metavar="FILE", help="organizations, coordinator, …")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="PATH", help="a new folder; apart: the founding file"
    )
    parser.add_argument(
        "--keyholder",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="a public part; once for each keyholder",
    )
    parser.add_argument("--online", type=Path, metavar="FILE", help="apart: the public part of the online signer")
    parser.add_argument(
        "--statistics", type=Path, metavar="FILE", help="public term statistics, if not the shipped ones"
    )


def _sign_online(commands: Subparsers) -> None:
    parser = _command(commands, "sign-online", "serve a repository and keep its timestamp fresh, until Ctrl-C")
    parser.add_argument("--repository", type=Path, required=True, metavar="DIR", help="the folder to serve")
    parser.add_argument("--key", type=Path, required=True, metavar="FILE", help="the online key, mode 0600")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=ONLINE_PORT, help="0 takes a free one (default: %(default)s)")
    parser.add_argument("--public", action="store_true", help="allow an address that is not loopback")


def _suspend(commands: Subparsers) -> None:
    parser = _command(commands, "suspend", "suspend an organization at once, with the key of one keyholder")
    parser.add_argument("organization", metavar="ORGANIZATION", help="the member")
    parser.add_argument("--repository", type=Path, required=True, metavar="DIR", help="the online signer's folder")
    parser.add_argument("--root-sha256", metavar="HEX", help="root fingerprint of the network")
    parser.add_argument("--key", type=Path, required=True, metavar="FILE", help="a keyholder's key, mode 0600")
    parser.add_argument("--reason", required=True, metavar="TEXT", help="one line that every member can read")


def _fetch(commands: Subparsers) -> None:
    parser = _command(commands, "fetch", "fetch a bundle from a mirror, verify it, and write it as one archive")
    parser.add_argument("--mirror", action="append", required=True, metavar="URL", help="may be given several times")
    parser.add_argument("--root-sha256", metavar="HEX", help="root fingerprint, as a keyholder gave it to you")
    parser.add_argument("--out", type=Path, required=True, metavar="ZIP", help="where to write the archive")
    parser.add_argument("--state", type=Path, metavar="DIR", help="remember versions here between two fetches")
    parser.add_argument("--ca-file", type=Path, metavar="PEM", help="certificates to trust instead of the system's")


def _show(commands: Subparsers) -> None:
    _reads_bundle(_command(commands, "show", "say in plain words who is in a network, and until when it holds"))


def _verify(commands: Subparsers) -> None:
    _reads_bundle(_command(commands, "verify", "check a bundle offline, from the root fingerprint"))


def _diff(commands: Subparsers) -> None:
    parser = _command(commands, "diff", "say in plain words what changed between two states of a network")
    parser.add_argument("old", type=Path, metavar="OLD", help="an archive, or a repository folder")
    parser.add_argument("new", type=Path, metavar="NEW", help="the later one")
    parser.add_argument("--root-sha256", metavar="HEX", help="root fingerprint, as a keyholder gave it to you")


def _reads_bundle(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--bundle", type=Path, required=True, metavar="PATH", help="an archive, or a repository folder")
    parser.add_argument("--root-sha256", metavar="HEX", help="root fingerprint, as a keyholder gave it to you")
    parser.add_argument("--at", metavar="TIME", help="time to verify at: ISO 8601 or Unix seconds (default: now)")


def _verify_split(commands: Subparsers) -> None:
    parser = _command(commands, "verify-split", "check a kept proof that one number was given to two states")
    parser.add_argument("file", type=Path, metavar="FILE", help="as a node keeps it below split-views/")
    parser.add_argument("--root-sha256", metavar="HEX", help="root fingerprint, as a keyholder gave it to you")


def _tuf_client(commands: Subparsers) -> None:
    sentence = "speak the protocol of the TUF client conformance suite, with the client that every party runs"
    parser = commands.add_parser("tuf-client", help=sentence, description=sentence[:1].upper() + sentence[1:] + ".")
    parser.add_argument("--metadata-dir", type=Path, required=True, metavar="DIR", help="trusted metadata is kept here")
    parser.add_argument("--metadata-url", metavar="URL", help="where the repository serves metadata")
    parser.add_argument("--target-name", action="append", metavar="PATH", help="a target to download; several times")
    parser.add_argument("--target-dir", type=Path, metavar="DIR", help="downloaded targets are kept here")
    parser.add_argument("--target-base-url", metavar="URL", help="where the repository serves targets")
    parser.add_argument("--at", metavar="TIME", help="reading of the clock (default: now)")
    parts = parser.add_subparsers(dest="tuf_command", required=True, metavar="COMMAND")
    pin = parts.add_parser("init", help="pin the first root; asks nobody")
    pin.add_argument("trusted_root", type=Path, metavar="ROOT", help="its file")
    parts.add_parser("refresh", help="bring root, timestamp, snapshot and targets up to date")
    parts.add_parser("download", help="fetch the named targets")
    parser.set_defaults(handler=_run_tuf_client)


def _run_tuf_client(arguments: argparse.Namespace) -> int:
    from concordat_client import tuf_client

    return tuf_client.run(arguments)


def _command(commands: Subparsers, name: str, sentence: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=sentence, description=sentence[:1].upper() + sentence[1:] + ".")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    parser.set_defaults(handler=_lazy(name))
    return parser


def _lazy(name: str) -> Handler:
    def handler(arguments: argparse.Namespace) -> int:
        from concordat_client import trust_actions

        return trust_actions.run(name, arguments)

    return handler
