"""What the `concordat trust` commands share: a report and how it is printed, the fingerprint, a time as it is given."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from datetime import UTC, datetime

from concordat_client.exits import Exit
from concordat_client.fingerprint import read_fingerprint
from concordat_client.plain_text import as_json, plain
from concordat_trust.canonical import JsonObject
from concordat_trust.errors import OperatorError, RefusedDocument


class RootFingerprintMissing(RefusedDocument):
    code = "root_fingerprint_missing"
    sentence = "Nothing can be verified without the root fingerprint."
    hint = "Ask a keyholder for it over another channel, and give it with --root-sha256."


class TimeInvalid(OperatorError):
    exit = Exit.USAGE
    code = "time_invalid"
    sentence = "{text!r} is not a time."
    hint = "Give ISO 8601 with a zone, such as 2027-01-15T08:00:00Z, or Unix seconds."


@dataclass(frozen=True, slots=True)
class Report:
    """What a command says: `data` with --json, else `lines`; and how it ends."""

    data: JsonObject
    lines: tuple[str, ...]
    exit: Exit = Exit.DONE


def print_report(report: Report, *, is_json: bool) -> None:
    """Print the report; texts of other parties are neutralised."""
    print(as_json(report.data) if is_json else "\n".join(map(plain, report.lines)), flush=True)


def fingerprint(arguments: argparse.Namespace) -> str:
    """Return the given root fingerprint. Raises: RootFingerprintMissing, and what a malformed one raises."""
    if not arguments.root_sha256:
        raise RootFingerprintMissing
    return read_fingerprint(str(arguments.root_sha256))


def read_time(text: str) -> int:
    """Return Unix seconds. Raises: TimeInvalid; a time without a zone is one, because it could mean two moments."""
    try:
        if text.isascii() and text.isdigit():
            return int(datetime.fromtimestamp(int(text), UTC).timestamp())
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError) as error:
        raise TimeInvalid(text=text[:100]) from error
    if moment.tzinfo is None:
        raise TimeInvalid(text=text[:100])
    return int(moment.timestamp())
