"""Promise 4: nobody has to trust the coordinator for authority or integrity, nor any other node.

`test_hostile_relay.py` tells the lies one by one. Here everything that a coordinator sends is changed, place by place,
before and after it signs: either home says what was wrong and with whom, or what it shows is what the nodes signed. The
same is then done to a saved answer, which holds offline against the root fingerprint alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, partial
from typing import Any

import pytest

from concordat_node.home.ask import Asked
from concordat_node.home.saving import saved_answer
from concordat_trust import jose
from concordat_trust.answer import VerifiedSavedAnswer, verify_saved_answer
from concordat_trust.attestation import TYP as ATTESTATION_TYP
from concordat_trust.bundle import TrustedBundle, verify_bundle
from concordat_trust.canonical import JsonObject, canonical_bytes
from concordat_trust.directory import KeyUse
from concordat_trust.encoding import b64u
from concordat_trust.errors import ConcordatError
from concordat_trust.ids import OrgId
from concordat_trust.question import Question
from tests.factories.network import NOW, TestNetwork, make_key
from tests.federation.consortium import HOME, NORTH, RELAY, VITALIS, make_consortium
from tests.federation.hostile_relay import Before, Entries, HostileRelay, entry_of, payload_of, with_payload
from tests.federation.virtual_clock import simulate

ALL = {HOME, NORTH, VITALIS}
Path = tuple[str | int, ...]


def _ask(**lies: Any) -> Asked:
    async def main() -> Asked:
        consortium = make_consortium(relay_class=partial(HostileRelay, **lies))
        return await consortium.ask(consortium.question(facets=("task",)))

    return simulate(0, main())


def _shown(asked: Asked) -> bytes:
    return asked.judged.merged.canonical()


def _findings(asked: Asked) -> set[tuple[str | None, str]]:
    return {(finding.organization, finding.code) for finding in asked.findings}


def _proved(asked: Asked) -> set[OrgId]:
    return {entry.organization for entry in asked.judged.merged.completeness.entries if entry.proved}


def _leaves(value: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the place of every value that is no object or list."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, child in children:
        yield from _leaves(child, (*path, name))
    if not isinstance(value, dict | list):
        yield path


def _changed(value: Any) -> Any:
    """Return another value of the same type: null becomes a text, a text differs in the middle."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if value is None or value == "":
        return "x"
    middle = len(value) // 2
    return value[:middle] + ("A" if value[middle] != "A" else "B") + value[middle + 1 :]


def _with_change(document: Any, path: Path) -> Any:
    copy = json.loads(json.dumps(document))
    place = copy
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = _changed(place[path[-1]])
    return copy


@cache
def _honest() -> tuple[Asked, JsonObject]:
    """Return an honest round and what the coordinator sent in it. Every round of the simulation shows the same."""
    sent: list[JsonObject] = []

    def keep(what: JsonObject) -> JsonObject:
        sent.append(what)
        return what

    asked = _ask(after=keep)
    assert asked.findings == ()
    return asked, {**sent[0], "merged": json.loads(str(sent[0]["merged"]))}


def _after(path: Path) -> Asked:
    """Ask through a coordinator that changes one place of what it sends, after it signed."""

    def lie(sent: JsonObject) -> JsonObject:
        changed = _with_change({**sent, "merged": json.loads(str(sent["merged"]))}, path)
        return {**changed, "merged": canonical_bytes(changed["merged"]).decode()}

    return _ask(after=lie)


def _party(path: Path) -> OrgId | None:
    """Return who is to be named: the organization whose answer was touched, the coordinator, or its merge (None)."""
    if path[0] == "answers" and path[2:] == ("organization",):
        return RELAY  # the altered name is nobody's, so the coordinator's whole message is malformed
    # An answer whose organization has no name any more is not read at all.
    if path[0] == "answers" and path[2:] != ("organization",):
        answers: Any = _honest()[1]["answers"]
        return OrgId.parse(answers[path[1]]["organization"])
    return None if path[0] == "merged" else RELAY


# What stands beside the answer is shown while the stream lasts; what home believes is in the signed delivery.
_TOLD = {"status", "code"}


def _is_like_another(path: Path) -> bool:
    # One organization's answer, one open result of it and one hit of the merge stand for the others.
    if path[0] == "answers" and path[2] == "results":
        return path[1] != 1 or (path[3] != 0 and path[-1] not in ("sealed", "salt", "id"))
    return (path[0] == "answers" and path[1] != 1) or (path[:2] == ("merged", "hits") and path[2] != 0)


def test_promise_4_every_place_of_what_a_coordinator_sends_is_checked() -> None:
    honest, sent = _honest()
    places = [path for path in _leaves(sent) if not _is_like_another(path)]
    checked = 0
    for path in places:
        asked = _after(path)
        if path[-1] in _TOLD and path[0] == "answers" and len(path) == 3:
            assert _findings(asked) == {(_party(path), "delivery_mismatch")}, path
            assert _shown(asked) == _shown(honest), path
        checked += 1
        assert asked.findings, path
        assert _party(path) in {finding.organization for finding in asked.findings}, path
        if path[0] == "merged":
            assert _findings(asked) == {(None, "merge_mismatch")}, path
            assert _shown(asked) == _shown(honest), path
        assert {entry.organization for entry in asked.judged.merged.completeness.entries} == ALL, path
    assert checked > 70


def _records_of(entries: Entries, org: OrgId) -> list[Any]:
    return json.loads(json.dumps(payload_of(entry_of(entries, org)).results))  # type: ignore[no-any-return]  # json


def _in_a_record(path: Path) -> Before:
    """Return a coordinator's lie that it signs for: one place of the first open record of North."""

    def lie(entries: Entries) -> Entries:
        results = _records_of(entries, NORTH)
        at = next(index for index, result in enumerate(results) if result["card"] is not None)
        results[at] = _with_change(results[at], path)
        return with_payload(entries, NORTH, results=tuple(results))

    return lie


def _open_record() -> Any:
    answers: Any = _honest()[1]["answers"]
    north = next(answer for answer in answers if answer["organization"] == NORTH)
    return next(result for result in north["results"] if result["card"] is not None)


def test_promise_4_a_record_changed_by_the_coordinator_is_found_with_its_organization() -> None:
    for path in _leaves(_open_record()):
        asked = _ask(before=_in_a_record(path))
        codes = {code for org, code in _findings(asked) if org == NORTH}
        assert codes & {"record_not_attested", "record_malformed", "encoding_invalid"}, path
        assert _proved(asked) == ALL - {NORTH}, path
        assert NORTH not in {hit.organization for hit in asked.judged.merged.hits}, path


def _signed_by(org: OrgId, use: KeyUse | None) -> Before:
    """Return the lie of a coordinator that raises North's total and signs with a key it got hold of."""

    def lie(entries: Entries) -> Entries:
        network = make_consortium().network
        key = make_key("nobody's") if use is None else network.keys[org][use]
        claims = jose.unverified_claims(payload_of(entry_of(entries, NORTH)).attestation, bytes_max=200_000)
        claims["notice"] = {"mode": "standing", "code": "invented", "contact": "mallory"}
        return with_payload(entries, NORTH, attestation=jose.sign(claims, key=key, typ=ATTESTATION_TYP))

    return lie


@pytest.mark.parametrize(
    ("org", "use"),
    [
        (RELAY, "delivery"),
        (RELAY, "request"),
        (VITALIS, "attestation"),
        (HOME, "attestation"),
        (NORTH, "request"),
        (NORTH, "query_token"),
        (NORTH, None),
    ],
)
def test_promise_4_only_its_organization_can_sign_an_answer(org: OrgId, use: KeyUse | None) -> None:
    asked = _ask(before=_signed_by(org, use))
    assert (NORTH, "attestation_key_unknown") in _findings(asked)
    assert _proved(asked) == ALL - {NORTH}
    north = next(entry for entry in asked.judged.merged.completeness.entries if entry.organization == NORTH)
    assert (north.status, north.notice) == ("UNTRUSTED", None)


def test_promise_4_a_signature_of_the_right_key_id_by_another_key_is_found() -> None:
    def lie(entries: Entries) -> Entries:
        head, claims, _ = payload_of(entry_of(entries, NORTH)).attestation.split(".")
        forged = make_key("nobody's").sign(f"{head}.{claims}".encode())
        return with_payload(entries, NORTH, attestation=f"{head}.{claims}.{b64u(forged)}")

    asked = _ask(before=lie)
    assert (NORTH, "attestation_signature_invalid") in _findings(asked)
    assert _proved(asked) == ALL - {NORTH}


# --- a saved answer, offline ------------------------------------------------------------------------------------------


@cache
def _saved() -> tuple[bytes, TestNetwork, Question]:
    async def main() -> tuple[bytes, TestNetwork, Question]:
        consortium = make_consortium()
        consortium.kill(VITALIS)
        asked = await consortium.ask(consortium.question(facets=("task",)))
        return saved_answer(asked, consortium.network.bundle, now=NOW + 5), consortium.network, asked.round.question

    return simulate(0, main())


def _verify(data: bytes, *, root_sha256: str | None = None) -> VerifiedSavedAnswer:
    """Verify as an auditor does: from the files of a bundle and the fingerprint, at each signature's own time."""
    _, network, _ = _saved()
    root = network.root_sha256 if root_sha256 is None else root_sha256
    verified: dict[int, TrustedBundle] = {}

    def bundle_at(at: int) -> TrustedBundle:
        if at not in verified:
            verified[at] = verify_bundle(network.files, root_sha256=root, at=at)
        return verified[at]

    return verify_saved_answer(data, bundle_at=bundle_at)


def test_promise_4_a_saved_answer_verifies_offline_with_everybody_accounted_for() -> None:
    data, _, question = _saved()
    found = _verify(data)
    entries = {entry.organization: entry for entry in found.merged.completeness.entries}
    assert set(entries) == ALL
    assert (entries[VITALIS].status, entries[VITALIS].proved) == ("UNREACHABLE", False)
    assert {answer.org: len(answer.records) for answer in found.answers} == {HOME: 3, NORTH: 3}
    assert found.saved.question == question


def test_promise_4_another_root_fingerprint_verifies_nothing() -> None:
    data, network, _ = _saved()
    with pytest.raises(ConcordatError) as caught:
        _verify(data, root_sha256=("0" if network.root_sha256[0] != "0" else "1") + network.root_sha256[1:])
    assert caught.value.code.startswith("bundle_")


def _classes_of_bytes() -> Iterator[tuple[str, Path, Callable[[Any], Any]]]:
    """Yield (name, place, change) for every kind of byte a saved answer has."""
    document = json.loads(_saved()[0])
    for path in _leaves(document):
        value = document
        for name in path:
            value = value[name]
        where = ".".join(map(str, path))
        is_jws = isinstance(value, str) and value.startswith("eyJ")
        for position in range(3) if is_jws else ():
            yield f"{where}[{position}]", path, partial(_other_part, position)
        if not is_jws:
            yield where, path, _changed


def _other_part(position: int, jws: str) -> str:
    parts = jws.split(".")
    parts[position] = _changed(parts[position])
    return ".".join(parts)


def _edited(path: Path, change: Callable[[Any], Any]) -> bytes:
    document = json.loads(_saved()[0])
    place = document
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = change(place[path[-1]])
    return canonical_bytes(document)


def _refusal(data: bytes) -> ConcordatError | None:
    try:
        _verify(data)
    except ConcordatError as error:
        return error
    return None


def test_promise_4_every_class_of_changed_bytes_of_a_saved_answer_is_found() -> None:
    believed = []
    for name, path, change in _classes_of_bytes():
        data = _edited(path, change)
        refused = _refusal(data)
        if refused is None:
            believed.append(name)
            assert replace(_verify(data).saved, saved_at=NOW + 5).to_bytes() == _saved()[0]
        elif path[0] == "answers" and refused.code != "saved_answer_malformed":
            assert refused.fields.get("organization") == path[1], name
    # Nobody signs when the file was written; everything else is under somebody's signature, or is computed again.
    assert believed == ["saved_at"]


@pytest.mark.parametrize("removed", [("answers", NORTH), ("reported", VITALIS), ("parts", NORTH), ("delivery",)])
def test_promise_4_nothing_can_be_taken_out_of_a_saved_answer(removed: Path) -> None:
    document = json.loads(_saved()[0])
    place = document
    for name in removed[:-1]:
        place = place[name]
    place.pop(removed[-1])
    with pytest.raises(ConcordatError):
        _verify(canonical_bytes(document))
