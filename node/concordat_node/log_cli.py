"""`concordat node log …`: arguments in, exit code out; what a command needs is imported when it runs."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concordat_node.settings import Settings

EXIT_DONE, EXIT_FINDING = 0, 7

Command = Callable[[argparse.Namespace], int]
AddCommand = Callable[[str, str, Command], argparse.ArgumentParser]
_DOCUMENT = "a checkpoint or a receipt that was kept"


def register_log(add: AddCommand) -> None:
    """Add the commands; `add(name, help, run)` makes a parser with --settings and --json."""
    listing = add("list", "list entries in the order of writing", run_list)
    listing.add_argument("--after", type=int, default=-1, metavar="POSITION", help="begin after this position (from 0)")
    listing.add_argument("--limit", type=int, default=100, help="entries at most (default 100, up to 1000)")
    verify = add("verify", "check every entry and every hash of the log; 7 when something is wrong", run_verify)
    verify.add_argument(
        "--checkpoint", type=Path, action="append", default=[], metavar="FILE", help=f"{_DOCUMENT}; repeatable"
    )
    checkpoint = add("checkpoint", "sign the state of the log as it is now", run_checkpoint)
    prove = add("prove", "prove that an entry is in the log as it is now", run_prove)
    prove.add_argument("--position", type=int, required=True, help="the entry, counted from 0")
    consistency = add("consistency", "prove that the log as it is now continues an earlier state", run_consistency)
    consistency.add_argument("--from", type=Path, required=True, dest="kept", metavar="FILE", help=_DOCUMENT)
    add("tokens", "list reported uses of own tokens that were never minted here; 7 when there are any", run_tokens)
    for parser in (checkpoint, prove, consistency):
        parser.add_argument("--out", type=Path, metavar="FILE", help="write it to a new file")


def run_list(arguments: argparse.Namespace) -> int:
    """List entries of the disclosure log."""
    from concordat_node.ledger.commands import log_entries
    from concordat_node.ledger.words import entry_line

    for stored in log_entries(_settings(arguments), after=arguments.after, limit=arguments.limit):
        if arguments.json:
            told = {"entry": stored.entry, "leaf": stored.leaf, "position": stored.position, "salt": stored.salt}
            print(json.dumps(told))
        else:
            print(entry_line(stored))
    return EXIT_DONE


def run_verify(arguments: argparse.Namespace) -> int:
    """Check the whole log; a finding says where."""
    from concordat_node.ledger.commands import verified_log

    report = verified_log(_settings(arguments), arguments.checkpoint)
    if arguments.json:
        print(json.dumps(report.to_json()))
    else:
        for finding in report.findings:
            print(f"{finding.code}: {finding.message}", file=sys.stderr)
        state = "holds" if not report.findings else "does NOT hold"
        print(
            f"the log {state}: {report.size} entries, root {report.to_json()['root']}, {report.kept} kept checkpoints"
        )
    return EXIT_FINDING if report.findings else EXIT_DONE


def run_checkpoint(arguments: argparse.Namespace) -> int:
    """Sign the state of the log."""
    from concordat_node.ledger.commands import new_checkpoint

    _print(arguments, "checkpoint", new_checkpoint(_settings(arguments)))
    return EXIT_DONE


def run_prove(arguments: argparse.Namespace) -> int:
    """Prove one entry."""
    from concordat_node.ledger.commands import proved_entry

    _print(arguments, "receipt", proved_entry(_settings(arguments), arguments.position).to_text())
    return EXIT_DONE


def run_consistency(arguments: argparse.Namespace) -> int:
    """Prove that the log continues an earlier state."""
    from concordat_node.ledger.commands import proved_continuation

    _print(arguments, "proof", proved_continuation(_settings(arguments), arguments.kept).to_text())
    return EXIT_DONE


def run_tokens(arguments: argparse.Namespace) -> int:
    """List what nodes reported of tokens in this organization's name that it did not mint so."""
    from concordat_node.app import open_peer_store

    store = open_peer_store(_settings(arguments))
    try:
        findings = store.findings()
    finally:
        store.close()
    for finding in findings:
        print(json.dumps(finding.to_json()) if arguments.json else finding.line())
    if not findings and not arguments.json:
        print("No node reported the use of a token that this organization did not mint so.")
    return EXIT_FINDING if findings else EXIT_DONE


def _print(arguments: argparse.Namespace, name: str, document: str) -> None:
    from concordat_node.ledger.commands import write_log_document

    if arguments.out is not None:
        write_log_document(arguments.out, document)
    # Without --json the document alone, as it stands in a file.
    print(json.dumps({name: document}) if arguments.json else document)


def _settings(arguments: argparse.Namespace) -> Settings:
    from concordat_node.settings import read_settings

    return read_settings(arguments.settings, os.environ)
