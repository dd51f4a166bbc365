"""What `search` and `show` have in common: the purpose, the exit code of a result, and saving the answer."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from concordat_client.exits import Exit
from concordat_trust.vocabulary import PURPOSE_WORDS

if TYPE_CHECKING:
    from concordat_client.home_client import HomeClient
    from concordat_trust.canonical import Json, JsonObject

_ANSWERED = ("OK", "SUPPRESSED")


def add_purpose(parser: argparse.ArgumentParser) -> None:
    """Add the options of a purpose; the code has no default, because every policy depends on it."""
    codes = ", ".join(f"{code} {words}" for code, words in PURPOSE_WORDS.items())
    parser.add_argument("--purpose", required=True, metavar="CODE", help=f"what it is for: {codes}")
    parser.add_argument("--disease", metavar="ID", help="which disease, such as MONDO:0007254; needed with DS")
    parser.add_argument("--commercial", action="store_true", help="the use is commercial")
    parser.add_argument("--method", metavar="TEXT", help="the method it is for")
    parser.add_argument("--project", metavar="TEXT", help="the project it is for")


def add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--save", type=Path, metavar="FILE", help="save the answer, to be verified later")
    parser.add_argument("--require-complete", action="store_true", help="exit 3 when an organization did not answer")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")


def purpose_of(arguments: argparse.Namespace) -> JsonObject:
    return {
        "code": arguments.purpose,
        "commercial": arguments.commercial,
        "disease": arguments.disease,
        "method": arguments.method,
        "project": arguments.project,
    }


def save_answer(client: HomeClient, result: Mapping[str, Json], path: Path) -> None:
    """Write the saved answer with mode 0600: it holds what the person was shown. Raises: AnswerFileUnusable."""
    from concordat_client.config import write_private
    from concordat_client.errors import AnswerFileUnusable, ConfigUnwritable, HomeAnswerInvalid

    job = result.get("job")
    job_id = job.get("id") if isinstance(job, dict) else None
    if not isinstance(job_id, str) or not job_id.replace("-", "").replace("_", "").isalnum():
        raise HomeAnswerInvalid(address=client.address)
    content = client.saved_answer(job_id)
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise AnswerFileUnusable(path=str(path), problem="it is not a file in a folder that exists")
    try:
        write_private(path, content)
    except ConfigUnwritable as error:
        raise AnswerFileUnusable(path=str(path), problem=error.fields.get("problem")) from error


def exit_of_result(result: Mapping[str, Json], *, require_complete: bool) -> Exit:
    """Return 3 for a partial answer that had to be complete, 5 when only refusals came, 8 when nobody answered."""
    completeness = result.get("completeness")
    given = completeness.get("entries") if isinstance(completeness, dict) else None
    entries = given if isinstance(given, list) else []
    statuses = [entry.get("status") for entry in entries if isinstance(entry, dict)]
    if not any(status in _ANSWERED for status in statuses):
        return Exit.REFUSED_BY_POLICY if "DENIED" in statuses else Exit.UNREACHABLE
    is_complete = isinstance(completeness, dict) and completeness.get("complete") is True
    return Exit.PARTIAL if require_complete and not is_complete else Exit.DONE
