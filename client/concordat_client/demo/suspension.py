"""The step of the demonstration in which one keyholder suspends an organization, and how long the last party takes.

Measured is the time from the start of the command until everybody refuses: every node and the coordinator refuse the
organization's own signed questions, its own node answers nobody, the home node neither asks it nor serves a stored
answer with its records. Before that, everybody was seen to answer.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from typing import Final

import httpx

from concordat_client.config import SavedSession
from concordat_client.demo.asking_member import AskingMember
from concordat_client.demo.layout import Layout
from concordat_client.demo.network import program
from concordat_client.errors import HomeRefused
from concordat_client.home_client import HomeClient
from concordat_client.render import completeness_lines, obj, objects
from concordat_trust.bundle.store import read_repository
from concordat_trust.bundle.verify import verify_bundle
from concordat_trust.canonical import JsonObject
from concordat_trust.errors import PeerFailure, RefusedDocument
from concordat_trust.ids import OrgId
from concordat_trust.keys import load_private_key

SUSPENDED: Final = "organization_suspended"
ANSWER_SUSPENDED: Final = "answer_suspended"
SUSPENSION_SECONDS_MAX: Final = 60
COMMAND_SECONDS_MAX: Final = 60
LOOK_SECONDS: Final = 0.1
REASON: Final = "Demonstration: its signing keys are assumed to be stolen."
Say = Callable[[str], None]
Refuses = Callable[[], bool]


def suspend(layout: Layout, organization: str) -> bool:
    """Run the command of one keyholder and tell whether it was done."""
    key = _key(layout, layout.keyholders[1])
    return _done(layout, "suspend", organization, "--repository", _repository(layout), *key, "--reason", REASON)


def reinstate(layout: Layout, organization: str) -> bool:
    """Let one keyholder propose, a second one approve, and the repository publish; tell whether all was done."""
    with tempfile.TemporaryDirectory() as place:
        first, second = f"{place}/first.json", f"{place}/second.json"
        bundle = ("--bundle", _repository(layout))
        one, two = (_key(layout, name) for name in layout.keyholders[:2])
        return (
            _done(layout, "reinstate", organization, *bundle, *one, "--yes", "--out", first)
            and _done(layout, "approve", first, *bundle, *two, "--yes", "--out", second)
            and _done(layout, "publish", first, second, "--repository", _repository(layout))
        )


def _repository(layout: Layout) -> str:
    return str(layout.ceremony.repository)


def _key(layout: Layout, keyholder: str) -> tuple[str, str]:
    return "--key", str(layout.ceremony.keys[f"keyholders/{keyholder}/keyholder"])


def _done(layout: Layout, *words: str) -> bool:
    done = subprocess.run(  # noqa: S603 - our own program
        program("trust", *words, "--root-sha256", layout.ceremony.root_sha256, "--json"),
        capture_output=True,
        check=False,
        timeout=COMMAND_SECONDS_MAX,
    )
    return done.returncode == 0


def asking_member(layout: Layout, organization: str) -> AskingMember:
    """Return the organization with its own keys and the network as it stands now."""
    keys, files = layout.ceremony.keys, read_repository(layout.ceremony.repository)
    bundle = verify_bundle(files, root_sha256=layout.ceremony.root_sha256, at=int(time.time()))
    own = {use: load_private_key(keys[f"members/{organization}/keys/{use}"]) for use in ("query_token", "request")}
    return AskingMember(OrgId.parse(organization), own["query_token"], own["request"], bundle)


def parties(
    member: AskingMember, *, home: str, session: SavedSession, body: JsonObject, job_id: str
) -> Mapping[str, Refuses]:
    """Return for each party how to see that it refuses the organization."""

    def door(party: OrgId) -> Refuses:
        return lambda: member.refused_by(party) == SUSPENDED

    others = [org for org in (*member.bundle.organizations, *member.bundle.coordinators) if org != member.organization]
    doors = {f"{party} refuses its questions": door(party) for party in others}
    doors[f"{member.organization}'s own node answers nobody"] = door(member.organization)

    def asks_without() -> bool:
        with HomeClient.of(session) as client:
            try:
                entries = objects(obj(client.ask(body).get("completeness")).get("entries"))
            except HomeRefused as refused:
                if refused.remote_code == ANSWER_SUSPENDED:
                    return False  # its own word says so: the answer was finished before the suspension
                raise
        return member.organization not in {entry.get("organization") for entry in entries}

    def stored_answer_ended() -> bool:
        with HomeClient.of(session) as client:
            try:
                client.saved_answer(job_id)
            except HomeRefused as refused:
                return refused.remote_code == ANSWER_SUSPENDED
        return False

    return {
        **doors,
        f"{home} asks the others only": asks_without,
        f"{home} serves no stored answer with its records": stored_answer_ended,
    }


def not_answering(parties: Mapping[str, Refuses]) -> list[str]:
    """Return what is so already, or cannot be seen; empty while everybody answers."""
    return [name for name, refuses in parties.items() if _sees(refuses, unseen=True)]


def seconds_until_all_refuse(parties: Mapping[str, Refuses], started_at: float, say: Say) -> float | None:
    """Return after how long the last party refused; None when one still answers after SUSPENSION_SECONDS_MAX."""
    waiting, passed_s = dict(parties), 0.0
    while waiting and passed_s < SUSPENSION_SECONDS_MAX:
        time.sleep(LOOK_SECONDS)
        for name, refuses in list(waiting.items()):
            is_refused = _sees(refuses)
            passed_s = time.monotonic() - started_at
            if is_refused:
                del waiting[name]
                say(f"  after {passed_s:4.1f} s  {name}")
    return None if waiting else round(passed_s, 1)


def _sees(refuses: Refuses, *, unseen: bool = False) -> bool:
    try:
        return refuses()
    except (httpx.HTTPError, PeerFailure, RefusedDocument):
        return unseen  # no answer is no refusal


def without_lines(session: SavedSession, body: JsonObject) -> list[str]:
    """Return how an answer of the network accounts for its organizations now."""
    with HomeClient.of(session) as client:
        return list(completeness_lines(client.ask(body)))
