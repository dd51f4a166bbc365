"""What the demonstration does with a running network, step by step, and what it found out.

Every step goes through the same doors as a person: the login of the command line, the home node's `/v1`, and
`concordat verify` as a process of its own. A `Finding` is a difference from what the network promises.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from concordat_client.config import SavedSession, store_session
from concordat_client.demo import suspension
from concordat_client.demo.layout import Layout, Person
from concordat_client.demo.network import Network, program
from concordat_client.demo.scripted_browser import sign_in as browse
from concordat_client.home_client import HomeClient
from concordat_client.login import sign_in
from concordat_client.render import completeness_lines, obj, objects, page_lines, understood_lines
from concordat_trust.bundle.store import archive_bytes, read_repository
from concordat_trust.canonical import Json, JsonObject

LOGIN_SECONDS_MAX = 30
VERIFY_SECONDS_MAX = 60
PROVED = ("OK", "SUPPRESSED", "DENIED", "UNSUPPORTED")
EXIT_TRUST = 6
_ALTERED = b"Treatment response"

Say = Callable[[str], None]


@dataclass(slots=True)
class Ask:
    """One person's answer, in the shape of the report."""

    persona: str
    purpose: str
    visible: list[str]
    by_organization: dict[str, int]
    status: dict[str, str]
    notices: list[JsonObject]

    def to_json(self) -> JsonObject:
        return {
            "persona": self.persona,
            "purpose": self.purpose,
            "visible": list[Json](self.visible),
            "by_organization": dict[str, Json](self.by_organization),
            "status": dict[str, Json](self.status),
            "notices": list[Json](self.notices),
        }


@dataclass(slots=True)
class Story:
    """Everything that was found out; `to_json` is what `--json` prints."""

    layout: Layout
    opa_source: str
    opa_version: str
    started_at: float
    total_first_answer_s: float | None = None
    asks: list[Ask] = field(default_factory=list)
    partial: JsonObject = field(default_factory=dict)
    offline_verify: JsonObject = field(default_factory=dict)
    suspension_s: float | None = None
    stored_job: str = ""
    findings: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, object]:
        """Return the report. Its fractions keep it from being a document of the network."""
        topology = self.layout.topology
        return {
            "total_first_answer_s": self.total_first_answer_s,
            "opa": {"source": self.opa_source, "version": self.opa_version},
            "network": {
                "name": topology.network,
                "root_sha256": self.layout.ceremony.root_sha256,
                "organizations": list[Json](topology.organizations),
            },
            "asks": [ask.to_json() for ask in self.asks],
            "partial": self.partial,
            "offline_verify": self.offline_verify,
            "suspension_s": self.suspension_s,
        }

    def expect(self, holds: bool, promise: str) -> None:
        """Note a finding when a promise does not hold."""
        if not holds:
            self.findings.append(promise)


def sign_everybody_in(layout: Layout) -> dict[str, SavedSession]:
    """Sign each person in at the home node, through the identity provider; keep each session as their own file."""
    return {person.subject: _sign_in(layout, person) for person in layout.topology.persons}


def _sign_in(layout: Layout, person: Person) -> SavedSession:
    home = layout.addresses[layout.topology.home]
    with _Browser(person) as browser:
        session = sign_in(home, open_url=browser.open, timeout_s=LOGIN_SECONDS_MAX)
    folder = layout.person_folder(person.subject) / "concordat"
    folder.mkdir(mode=0o700, exist_ok=True)
    store_session(folder, session)
    return session


class _Browser:
    """Signs a person in on another thread, because the command line waits for the browser's redirect meanwhile."""

    def __init__(self, person: Person) -> None:
        self._person = person
        self._thread: threading.Thread | None = None

    def __enter__(self) -> _Browser:
        return self

    def open(self, url: str) -> None:
        arguments = (url, self._person.subject, self._person.password)
        self._thread = threading.Thread(target=browse, args=arguments, daemon=True)
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        if self._thread is not None:
            self._thread.join(LOGIN_SECONDS_MAX)


def ask_as_everybody(story: Story, sessions: dict[str, SavedSession], say: Say) -> None:
    """Ask the one question as each person, show the answers, and check that they differ as the agreements do."""
    for person in story.layout.topology.persons:
        result = _ask(story, sessions[person.subject])
        if story.total_first_answer_s is None:
            story.total_first_answer_s = round(time.time() - story.started_at, 1)
        story.asks.append(_seen(person.subject, result))
        say(f"\n=== asked by {person.title} ({person.subject} of {story.layout.topology.home})")
        _show(result, say)
        story.expect(_is_complete(result), f"{person.subject}: every organization answers")
        story.expect(result.get("merge") == "match", f"{person.subject}: home recomputes what the coordinator merged")
    answers = {tuple(ask.visible) for ask in story.asks}
    story.expect(len(answers) == len(story.asks), "three people get three different answers")
    expected = _expected_counts()
    for ask in story.asks:
        story.expect(ask.by_organization == expected[ask.persona], f"{ask.persona} sees {expected[ask.persona]}")


def _expected_counts() -> dict[str, dict[str, int]]:
    # The catalogue's policies, worked out by hand: see the module text of `catalogue`.
    return {
        "guest-researcher": {"alma-university": 1, "north-hospital": 1, "vitalis": 0},
        "trial-analyst": {"alma-university": 1, "north-hospital": 2, "vitalis": 2},
        "lapsed-investigator": {"alma-university": 1, "north-hospital": 1, "vitalis": 2},
    }


def ask_with_a_node_missing(story: Story, network: Network, sessions: dict[str, SavedSession], say: Say) -> None:
    """Stop one node, ask again, show that the answer says so, and start the node again."""
    stopped = story.layout.topology.organizations[-1]
    say(f"\n=== the node of {stopped} is stopped; trial-analyst asks again")
    network.stop_node(stopped)
    result = _ask(story, sessions["trial-analyst"])
    network.restart_node(stopped)
    for line in completeness_lines(result):
        say(line)
    completeness = obj(result.get("completeness"))
    missing = [
        {"org": entry.get("organization"), "status": entry.get("status"), "proved": entry.get("proved")}
        for entry in objects(completeness.get("entries"))
        if entry.get("status") not in PROVED
    ]
    story.partial = {
        "asked": completeness.get("asked"),
        "answered": completeness.get("answered"),
        "missing": list[Json](missing),
    }
    story.expect(not _is_complete(result), "a partial answer says that it is partial")
    wanted: list[JsonObject] = [{"org": stopped, "status": "UNREACHABLE", "proved": False}]
    story.expect(missing == wanted, f"exactly {stopped} is missing, reported and not proved")


def verify_offline(story: Story, session: SavedSession, say: Say, *, save_to: Path | None) -> None:
    """Save an answer, verify it from the root fingerprint alone, change one byte, and see that this is found."""
    layout = story.layout
    bundle, answer = layout.folder / "bundle.zip", layout.folder / "answer.json"
    bundle.write_bytes(archive_bytes(read_repository(layout.ceremony.repository)))
    with HomeClient.of(session) as client:
        result = client.ask(_body(story))
        story.stored_job = str(obj(result.get("job")).get("id"))
        answer.write_bytes(client.saved_answer(story.stored_job))
    if save_to is not None:
        save_to.write_bytes(answer.read_bytes())
        save_to.with_suffix(".bundle.zip").write_bytes(bundle.read_bytes())
    say("\n=== the answer is saved and verified offline, from the root fingerprint alone")
    exit_status, verified = _verify(answer, bundle, layout.ceremony.root_sha256)
    proven = verified.get("records_proven")
    say(f"  exit {exit_status}: {proven} records proven, nothing altered, added or left out")
    tampered = layout.folder / "tampered.json"
    data = answer.read_bytes()
    position = data.index(_ALTERED)
    tampered.write_bytes(data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :])
    say(f"=== one byte of the saved answer is changed (byte {position}, in a title)")
    tampered_exit, refused = _verify(tampered, bundle, layout.ceremony.root_sha256)
    error = obj(refused.get("error"))
    say(f"  exit {tampered_exit}: {error.get('code')}: {error.get('message')}")
    story.offline_verify = {
        "records": proven,
        "ok": exit_status == 0 and verified.get("ok") is True,
        "tampered": {"exit": tampered_exit, "code": error.get("code")},
    }
    story.expect(story.offline_verify["ok"] is True, "a saved answer verifies offline")
    story.expect(tampered_exit == EXIT_TRUST, "a changed byte is found")
    story.expect(error.get("code") == "record_not_attested", "it is said that a record is not what its node attested")


def suspend_live(story: Story, session: SavedSession, say: Say) -> None:
    """Let one keyholder suspend an organization, measure how long the last party takes, and let the quorum lift it."""
    layout, body = story.layout, _body(story)
    topology = layout.topology
    organization = topology.organizations[-1]
    member = suspension.asking_member(layout, organization)
    parties = suspension.parties(member, home=topology.home, session=session, body=body, job_id=story.stored_job)
    early = suspension.not_answering(parties)
    story.expect(not early, f"before its suspension everybody answers {organization} ({', '.join(early)})")
    say(f"\n=== one keyholder suspends {organization}, which goes on asking everybody with its own keys")
    started_at = time.monotonic()
    story.expect(suspension.suspend(layout, organization), "one keyholder's key suspends an organization")
    story.suspension_s = suspension.seconds_until_all_refuse(parties, started_at, say)
    for line in suspension.without_lines(session, body):
        say(line)
    story.expect(story.suspension_s is not None, f"every party refuses {organization} within a minute")
    story.expect(suspension.reinstate(layout, organization), "two of three keyholders lift the suspension")
    say(f"  {organization} was refused everywhere after {story.suspension_s} s; two keyholders have reinstated it")


def _verify(answer: Path, bundle: Path, root_sha256: str) -> tuple[int, JsonObject]:
    command = program("verify", str(answer), "--bundle", str(bundle), "--root-sha256", root_sha256, "--json")
    done = subprocess.run(  # noqa: S603 - our own program
        command, capture_output=True, text=True, check=False, timeout=VERIFY_SECONDS_MAX, env=dict(os.environ)
    )
    told: JsonObject = json.loads(done.stdout)
    return done.returncode, told


def _body(story: Story) -> JsonObject:
    return {"sentence": story.layout.topology.question, "purpose": story.layout.topology.purpose}


def _ask(story: Story, session: SavedSession) -> JsonObject:
    with HomeClient.of(session) as client:
        return client.ask(_body(story))


def _seen(persona: str, result: JsonObject) -> Ask:
    entries = objects(obj(result.get("completeness")).get("entries"))
    counts = {str(entry.get("organization")): 0 for entry in entries}
    visible = []
    for hit in objects(result.get("hits")):
        record = obj(hit.get("record"))
        visible.append(str(record.get("id")))
        counts[str(record.get("organization"))] += 1
    return Ask(
        persona=persona,
        purpose=str(obj(result.get("purpose")).get("code")),
        visible=visible,
        by_organization=counts,
        status={str(entry.get("organization")): str(entry.get("status")) for entry in entries},
        notices=[
            {"org": entry.get("organization"), **obj(entry.get("notice"))}
            for entry in entries
            if obj(entry.get("notice")).get("mode") == "standing"
        ],
    )


def _is_complete(result: JsonObject) -> bool:
    return obj(result.get("completeness")).get("complete") is True


def _show(result: JsonObject, say: Say) -> None:
    for line in (*understood_lines(result), *completeness_lines(result), *page_lines(result)):
        say(line)
