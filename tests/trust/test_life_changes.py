"""What the quorum changes: proposed by one, derived anew by each, published only with enough signatures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial
from typing import Any

import pytest

from concordat_trust.bundle.life import application
from concordat_trust.bundle.life.application import apply
from concordat_trust.bundle.life.approval import Approval, PartialSignature, parse_approval, sign_documents
from concordat_trust.bundle.life.change import CHANGE_AGE_MAX_S, CLOCK_LEEWAY_S, prepare, propose
from concordat_trust.bundle.life.difference import differences, founding_words
from concordat_trust.bundle.life.founding import Founding, prepare_founding
from concordat_trust.bundle.life.own_role import first_role, rotate
from concordat_trust.bundle.life.parts import PublicPart
from concordat_trust.bundle.life.publishing import (
    OwnRole,
    complete,
    complete_founding,
    complete_own_role,
    own_role,
    parse_own_role,
)
from concordat_trust.bundle.life.state import keyholder_keys, threshold_of
from concordat_trust.bundle.metadata import DAY_S
from concordat_trust.bundle.policy import MayAssert
from concordat_trust.bundle.repository import sign_suspended
from concordat_trust.bundle.trusted import VERIFIED, TrustedBundle
from concordat_trust.bundle.verify import verify_bundle
from concordat_trust.canonical import JsonObject, canonical_bytes, parse_object
from concordat_trust.errors import ConcordatError
from concordat_trust.ids import OrgId
from concordat_trust.node_sealing import node_sealing_key
from concordat_trust.shape import Shape
from concordat_trust.visa_issuer import issuer_metadata, read_visa_issuer
from concordat_trust.vocabulary import Clearance
from tests.factories.life import World, found, founding, living, member_policy, own_keys, part, passed
from tests.factories.network import NOW, make_key, small_statistics
from tests.factories.visas import VITALIS_ISSUER, rsa_jwk
from tests.factories.visas import metadata as visa_metadata

NORTH, VITALIS = OrgId("north-hospital"), OrgId("vitalis")


def refused(act: Callable[..., object], *arguments: Any, **named: Any) -> ConcordatError:
    with pytest.raises(ConcordatError) as error:
        act(*arguments, **named)
    return error.value


# Founding.


def approvals(plan: Founding, *names: str) -> list[Approval]:
    prepared = prepare_founding(plan, statistics=small_statistics(), at=NOW)
    return [Approval("pilot", None, plan, sign_documents(prepared.documents, make_key(name))) for name in names]


def founded(plan: Founding, *names: str) -> object:
    return complete_founding(approvals(plan, *names), statistics=small_statistics(), at=NOW)


def test_a_network_is_founded_by_as_many_as_its_threshold() -> None:
    for signers in (2, 3):
        world = found(signers=signers)
        bundle = world.bundle()
        assert (bundle.members, threshold_of(bundle), len(keyholder_keys(bundle))) == ({}, 2, 3)


def test_one_founder_alone_founds_nothing_and_the_count_is_told() -> None:
    error = refused(lambda: founded(founding(), "one-one"))
    assert (error.code, error.fields) == (
        "approvals_too_few",
        {"document": "1.root.json", "signed": 1, "threshold": 2},
    )
    assert refused(lambda: founded(founding(), "one-one", "one-one")).code == "approvals_too_few"
    assert refused(lambda: founded(founding(threshold=3), "one-one", "two-two")).fields["signed"] == 2


def test_whoever_is_no_founder_signs_nothing() -> None:
    assert refused(lambda: approvals(founding(), "stranger")).code == "approver_unknown"
    assert refused(lambda: approvals(founding(), "online")).code == "approver_unknown"


def test_founders_who_signed_different_things_are_told_so() -> None:
    one, two = approvals(founding(), "one-one"), approvals(founding(threshold=3), "two-two")
    error = refused(complete_founding, [*one, *two], statistics=small_statistics(), at=NOW)
    assert error.code == "approvals_differ"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"threshold": 4}, "change_refused"),
        ({"threshold": 1}, "change_refused"),
        ({"keyholders": (part("one-one"), part("one-one"), part("two-two"))}, "change_refused"),
        ({"keyholders": (part("one-one"), part("one-one", make_key("x")), part("two-two"))}, "change_refused"),
        ({"online": replace(part("one-one"), use="online")}, "change_refused"),
        ({"statistics_sha256": "0" * 64}, "statistics_mismatch"),
        ({"made_at": NOW + CLOCK_LEEWAY_S + 1}, "change_too_old"),
        ({"made_at": NOW - CHANGE_AGE_MAX_S - 1}, "change_too_old"),
    ],
)
def test_an_unsound_founding_is_not_signed(change: dict[str, Any], code: str) -> None:
    plan = replace(founding(), **change)
    assert refused(lambda: prepare_founding(plan, statistics=small_statistics(), at=NOW)).code == code


@pytest.mark.parametrize("made_at", [NOW + CLOCK_LEEWAY_S, NOW - CHANGE_AGE_MAX_S])
def test_a_founding_may_be_as_old_as_its_limit(made_at: int) -> None:
    assert (
        len(prepare_founding(replace(founding(), made_at=made_at), statistics=small_statistics(), at=NOW).documents)
        == 3
    )


def test_a_founding_is_told_in_plain_words() -> None:
    told = "\n".join(founding_words(founding()))
    assert "2 of 3 keyholders sign for it" in told
    assert all(f"keyholder {p.name}, key {p.key_id}" in told for p in founding().keyholders)
    assert "No members yet" in told


def test_a_founding_file_with_members_is_refused() -> None:
    policy = living("north-hospital").bundle().network
    plan = replace(founding(), policy=policy)
    assert refused(lambda: prepare_founding(plan, statistics=small_statistics(), at=NOW)).code == "change_refused"


# Changes.


def test_one_approval_publishes_nothing_and_the_count_is_told() -> None:
    world = living("north-hospital", "vitalis")
    first = world.propose("remove", member=VITALIS)
    for given in ([first], [first, first], [first, world.approve(first, by="one-one")]):
        error = refused(lambda g=given: complete(world.bundle(), g, at=world.at))
        assert (error.code, error.fields["signed"], error.fields["threshold"]) == ("approvals_too_few", 1, 2)
    assert world.state("vitalis") == "active"


def test_any_two_keyholders_are_a_quorum_and_a_third_does_no_harm() -> None:
    for others in (["two-two"], ["three-three"], ["two-two", "three-three"]):
        world = living("north-hospital", "vitalis")
        first = world.propose("remove", member=VITALIS)
        world.publish(first, *(world.approve(first, by=name) for name in others))
        assert world.state("vitalis") == "removed"


@pytest.mark.parametrize("name", ["stranger", "online", "vitalis/entity/1"])
def test_only_keyholders_approve(name: str) -> None:
    world = living("north-hospital", "vitalis")
    first = world.propose("remove", member=VITALIS)
    assert refused(lambda: world.approve(first, by=make_key(name))).code == "approver_unknown"


def test_a_forged_or_foreign_signature_is_named() -> None:
    world = living("north-hospital", "vitalis")
    first = world.propose("remove", member=VITALIS)
    good = first.signatures[0]
    two = world.holders["two-two"]
    for signature, code in (
        (replace(good, signature=b"0" * 64), "approval_signature_invalid"),
        (PartialSignature(good.document, two.key_id, good.signature), "approval_signature_invalid"),
        (replace(good, document="9.targets.json"), "approver_unknown"),
        (PartialSignature(good.document, make_key("stranger").key_id, b"0" * 64), "approver_unknown"),
    ):
        forged = replace(first, signatures=(signature,))
        assert refused(lambda f=forged: complete(world.bundle(), [f], at=world.at)).code == code


def test_a_changed_proposal_does_not_fit_the_signatures_under_it() -> None:
    world = living("north-hospital", "vitalis")
    first = world.propose("remove", member=VITALIS)
    second = world.approve(first, by="two-two")
    assert not isinstance(first.change, Founding)
    other = replace(first.change, member=NORTH)
    both = [replace(approval, change=other) for approval in (first, second)]
    assert refused(lambda: complete(world.bundle(), both, at=world.at)).code == "approval_signature_invalid"
    assert refused(lambda: complete(world.bundle(), [first, both[1]], at=world.at)).code == "approvals_differ"


def test_a_proposal_on_an_older_state_is_outdated() -> None:
    world = living("north-hospital", "vitalis")
    first = world.propose("remove", member=VITALIS)
    second = world.approve(first, by="two-two")
    world.by_quorum("renew")
    assert refused(lambda: world.publish(first, second)).code == "change_outdated"
    assert refused(lambda: world.approve(first, by="three-three")).code == "change_outdated"


@pytest.mark.parametrize(("age_s", "is_good"), [(CHANGE_AGE_MAX_S, True), (CHANGE_AGE_MAX_S + 1, False)])
def test_a_proposal_holds_for_a_bounded_time(age_s: int, is_good: bool) -> None:
    world = living("north-hospital", "vitalis")
    prepared = propose(world.bundle(), "remove", at=world.at, member=VITALIS)
    if is_good:
        assert prepare(world.bundle(), prepared.change, at=world.at + age_s).documents
    else:
        assert refused(lambda: prepare(world.bundle(), prepared.change, at=world.at + age_s)).code == "change_too_old"
    future = replace(prepared.change, made_at=world.at + CLOCK_LEEWAY_S + 1)
    assert refused(lambda: prepare(world.bundle(), future, at=world.at)).code == "change_too_old"


def test_an_approval_of_another_network_is_refused() -> None:
    world = living("north-hospital", "vitalis")
    first = world.propose("remove", member=VITALIS)
    other = replace(first, root_sha256="0" * 64)
    assert refused(lambda: complete(world.bundle(), [other], at=world.at)).code == "invitation_other_network"
    plan = approvals(founding(), "one-one")
    assert refused(lambda: complete(world.bundle(), plan, at=world.at)).code == "approval_invalid"
    error = refused(complete_founding, [first], statistics=small_statistics(), at=NOW)
    assert error.code == "approval_invalid"


def test_keyholders_may_grant_less_than_was_asked_for() -> None:
    world = living("north-hospital")
    granted = MayAssert(frozenset({"staff"}), frozenset(), Clearance.PUBLIC)
    application = world.apply(VITALIS, world.invite(VITALIS))
    world.by_quorum("admit", member=VITALIS, application=application, granted=granted)
    assert world.bundle().member(VITALIS).may_assert == granted


def test_an_application_whose_endpoint_is_taken_is_not_approved() -> None:
    world = living("north-hospital", "vitalis")
    bundle, invitation = world.bundle(), world.invite("new-one")
    error = refused(
        apply,
        bundle,
        invitation,
        member_policy("new-one"),
        legal_name="New",
        endpoint="https://vitalis.example",
        contact="",
        keys=own_keys("new-one"),
        self_test=passed(),
        at=world.at,
    )
    assert error.code == "statement_endpoint_shared"


def test_the_unknown_fields_of_a_later_release_survive_a_change() -> None:
    world = living("north-hospital", "vitalis")
    bundle = world.bundle()
    network = canonical_bytes({**parse_object(bundle.files["targets/network.json"], bytes_max=10**6), "later": [1]})
    files = {**bundle.files, "targets/network.json": network}
    same = {f.name: getattr(bundle, f.name) for f in fields(TrustedBundle)}
    later = TrustedBundle(**{**same, "files": files, "seal": VERIFIED})
    assert b'"later":[1]' in propose(later, "remove", at=world.at, member=VITALIS).network


# Organization key, keyholder, suspension.


def test_keyholders_replace_a_lost_organization_key_and_the_old_one_signs_nothing_more() -> None:
    world = living("north-hospital", "vitalis")
    application = world.apply_for_key("vitalis", generation=2)
    world.by_quorum("replace_key", member=VITALIS, application=application)
    assert world.state("vitalis") == "active"
    assert refused(lambda: world.rotate("vitalis", generation=3, entity=1)).code == "change_refused"
    world.rotate("vitalis", generation=3, entity=2)


def test_the_issuer_of_visas_outlasts_the_organization_key() -> None:
    world = living("north-hospital", "vitalis")
    world.rotate("vitalis", generation=2, visa_issuer=issuer_metadata(VITALIS_ISSUER, [rsa_jwk("vitalis-1")]))
    published = world.bundle().member(VITALIS).visa_issuer
    world.by_quorum("replace_key", member=VITALIS, application=world.apply_for_key("vitalis", generation=3))
    assert published is not None
    assert world.bundle().member(VITALIS).visa_issuer == published


def test_a_key_application_changes_nothing_else() -> None:
    world = living("north-hospital", "vitalis")
    application = world.apply_for_key("vitalis", generation=2)
    error = refused(world.propose, "admit", member=VITALIS, application=application)
    assert error.code == "approval_invalid"
    error = refused(world.propose, "replace_key", member=NORTH, application=application)
    assert error.code == "approval_invalid"


def replaced(world: World, *, leaving: str = "one-one", joining: PublicPart | None = None) -> Approval:
    joining = part("four-four") if joining is None else joining
    return world.propose("replace_keyholder", by="two-two", leaving=make_key(leaving).key_id, joining=joining)


def test_a_keyholder_is_replaced_by_old_and_new_quorum_and_loses_every_power() -> None:
    world = living("north-hospital", "vitalis")
    memory = world.bundle().memory
    world.holders["four-four"] = make_key("four-four")
    first = replaced(world)
    world.publish(first, world.approve(first, by="three-three"), world.approve(first, by="four-four"))
    assert (world.bundle().view.root, memory.root) == (2, 1)
    memory.refuse_rollback(world.bundle().memory)
    assert refused(lambda: world.suspend("vitalis", by="one-one")).code == "suspension_key_refused"
    assert refused(lambda: world.propose("remove", by="one-one", member=VITALIS)).code == "approver_unknown"
    world.suspend("vitalis", by="four-four")


def test_the_new_quorum_alone_replaces_nobody() -> None:
    world = living("north-hospital", "vitalis")
    first = replaced(world)
    error = refused(lambda: world.publish(first, world.approve(first, by=make_key("four-four"))))
    assert (error.code, error.fields["document"], error.fields["signed"]) == ("approvals_too_few", "2.root.json", 1)


def test_the_old_quorum_alone_does_not_bring_somebody_in_who_never_signed() -> None:
    # Two of the new three signed (two-two, three-three): that is a new quorum, and it is enough.
    world = living("north-hospital", "vitalis")
    first = replaced(world)
    leaving = world.approve(first, by="one-one")
    assert refused(lambda: world.publish(first, leaving)).fields["document"] == "2.root.json"


@pytest.mark.parametrize(
    ("about", "code"),
    [
        ({"leaving": make_key("stranger").key_id, "joining": part("four-four")}, "change_refused"),
        ({"leaving": make_key("online").key_id, "joining": part("four-four")}, "change_refused"),
        ({"leaving": make_key("one-one").key_id, "joining": part("two-two")}, "change_refused"),
        ({"leaving": make_key("one-one").key_id, "joining": part("two-two", make_key("x"))}, "change_refused"),
        (
            {"leaving": make_key("one-one").key_id, "joining": part("four-four", make_key("vitalis/entity/1"))},
            "change_refused",
        ),
        ({"joining": part("four-four")}, "approval_invalid"),
        ({"leaving": make_key("one-one").key_id}, "approval_invalid"),
    ],
)
def test_a_replacement_that_does_not_fit_is_not_signed(about: dict[str, Any], code: str) -> None:
    world = living("north-hospital", "vitalis")
    assert refused(lambda: world.propose("replace_keyholder", **about)).code == code


def test_a_suspension_is_lifted_by_the_quorum_from_files_and_by_nobody_else() -> None:
    world = living("north-hospital", "vitalis")
    world.suspend("vitalis")
    first = world.propose("reinstate", member=VITALIS)
    assert refused(lambda: world.publish(first)).code == "approvals_too_few"
    assert world.state("vitalis") == "suspended"
    world.publish(first, world.approve(first, by="three-three"))
    assert world.state("vitalis") == "active"


def test_a_party_that_remembers_the_suspension_believes_the_quorum_and_not_an_emptied_list() -> None:
    world = living("north-hospital", "vitalis")
    world.suspend("vitalis")
    memory = world.bundle().memory
    emptied = world.bundle().memory.roles["suspended"] + 1
    world.take(sign_suspended({}, signer=world.holders["three-three"], version=emptied, at=world.at))
    alone = verify_bundle(world.files, root_sha256=world.root_sha256, at=world.at, memory=memory)
    assert (alone.member(VITALIS).suspended, [f.code for f in alone.findings]) == (
        True,
        ["bundle_reinstate_unauthorised"],
    )
    world = living("north-hospital", "vitalis")
    world.suspend("vitalis")
    world.by_quorum("reinstate", member=VITALIS)
    lifted = verify_bundle(world.files, root_sha256=world.root_sha256, at=world.at, memory=memory)
    assert (lifted.member(VITALIS).suspended, lifted.findings) == (False, ())


@pytest.mark.parametrize(
    ("kind", "member", "code"),
    [
        ("reinstate", "vitalis", "membership_transition_refused"),
        ("reinstate", "nobody-here", "member_unknown"),
        ("remove", "nobody-here", "membership_transition_refused"),
        ("replace_key", "vitalis", "approval_invalid"),
        ("admit", "vitalis", "approval_invalid"),
    ],
)
def test_what_does_not_apply_to_a_member_is_not_proposed(kind: Any, member: str, code: str) -> None:
    world = living("north-hospital", "vitalis")
    assert refused(world.propose, kind, member=OrgId(member)).code == code


# What an organization signs alone.


def test_a_rotation_seals_to_the_new_attestation_key_and_not_to_the_old_one() -> None:
    world = living("north-hospital", "vitalis")
    world.rotate("vitalis", generation=2)
    expected = node_sealing_key(own_keys("vitalis", generation=2).uses["attestation"]).public
    assert world.bundle().member(VITALIS).sealing == expected


def test_a_rotation_overlaps_and_ends_when_it_is_said_to() -> None:
    world = living("north-hospital", "vitalis")
    old, new = own_keys("vitalis").uses["attestation"], own_keys("vitalis", generation=2).uses["attestation"]
    world.rotate("vitalis", generation=2)
    bundle = world.bundle()
    assert [*bundle.members[VITALIS].keys["attestation"]] == [new.key_id, old.key_id]
    world.rotate(
        "vitalis",
        generation=2,
        retire=[k.key_id for g in (1, 2) for k in own_keys("vitalis", generation=g).uses.values()],
    )
    assert [*world.bundle().members[VITALIS].keys["attestation"]] == [new.key_id]


def test_what_is_sealed_to_a_node_follows_its_attestation_key() -> None:
    world = living("north-hospital", "vitalis")
    keys = [node_sealing_key(own_keys("vitalis", generation=g).uses["attestation"]).public for g in (1, 2)]
    assert world.bundle().members[VITALIS].sealing == keys[0]
    world.rotate("vitalis", generation=2)
    assert world.bundle().members[VITALIS].sealing == keys[1]


def test_an_organization_publishes_its_issuer_of_visas_alone_and_keeps_it() -> None:
    world = living("north-hospital", "vitalis")
    issuer = issuer_metadata(VITALIS_ISSUER, [rsa_jwk("vitalis-1")])
    world.rotate("vitalis", generation=2, visa_issuer=issuer)
    assert [claim.organization for claim in world.bundle().visa_issuers[VITALIS_ISSUER]] == [VITALIS]
    world.rotate("vitalis", generation=3)
    assert VITALIS_ISSUER in world.bundle().visa_issuers
    wrong = {"issuer": "http://visas.example", "jwks": {"keys": []}}
    assert refused(lambda: world.rotate("vitalis", generation=4, visa_issuer=wrong)).code == "document_malformed"


def squatter() -> JsonObject:
    return issuer_metadata(VITALIS_ISSUER, [rsa_jwk("north-2")])


def test_a_visa_issuer_that_another_member_has_cannot_be_claimed() -> None:
    world = living("north-hospital", "vitalis")
    world.rotate("vitalis", generation=2, visa_issuer=issuer_metadata(VITALIS_ISSUER, [rsa_jwk("vitalis-1")]))
    error = refused(lambda: world.rotate("north-hospital", generation=2, visa_issuer=squatter()))
    assert (error.code, error.fields["owner"]) == ("statement_visa_issuer_shared", VITALIS)
    world.suspend("vitalis", by="one-one")
    world.rotate("north-hospital", generation=2, visa_issuer=squatter())


def test_who_is_claimed_against_goes_on_renewing() -> None:
    world = living("north-hospital", "vitalis")
    world.rotate("vitalis", generation=2, visa_issuer=issuer_metadata(VITALIS_ISSUER, [rsa_jwk("vitalis-1")]))
    world.suspend("vitalis", by="one-one")
    world.rotate("north-hospital", generation=2, visa_issuer=squatter())
    world.by_quorum("reinstate", member=VITALIS)
    assert [finding.code for finding in world.bundle().findings] == ["statement_visa_issuer_shared"]
    world.rotate("vitalis", generation=3)
    assert len(world.bundle().visa_issuers[VITALIS_ISSUER]) == 2


def test_an_application_that_claims_the_visa_issuer_of_a_member_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    world = living("north-hospital", "vitalis")
    world.rotate("vitalis", generation=2, visa_issuer=issuer_metadata(VITALIS_ISSUER, [rsa_jwk("vitalis-1")]))
    invitation = world.invite("new-one")
    monkeypatch.setattr(application, "first_role", partial(first_role, visa_issuer=squatter()))
    error = refused(lambda: world.apply("new-one", invitation))
    assert (error.code, error.fields["owner"]) == ("statement_visa_issuer_shared", VITALIS)


def test_a_statement_is_renewed_with_the_keys_it_has() -> None:
    world = living("north-hospital", "vitalis")
    before = world.bundle().members[VITALIS].keys
    world.at += 20 * DAY_S
    world.refresh()
    key = own_keys("vitalis").entity
    files = rotate(world.bundle(), VITALIS, entity=key, new={}, at=world.at)
    world.take(complete_own_role(world.bundle(), own_role(world.bundle(), VITALIS, files), at=world.at))
    assert world.bundle().members[VITALIS].keys.keys() == before.keys()
    assert world.bundle().memory.roles[VITALIS] == 2


def test_an_organization_moves_to_another_endpoint_but_not_to_anothers() -> None:
    world = living("north-hospital", "vitalis")
    world.rotate("vitalis", generation=2, endpoint="https://new.example")
    assert world.bundle().member(VITALIS).endpoint == "https://new.example"
    for member, other in (("vitalis", "north-hospital"), ("north-hospital", "vitalis")):
        target = world.bundle().member(OrgId(other)).endpoint
        code = refused(lambda m=member, t=target: world.rotate(m, generation=3, endpoint=t)).code
        assert code in ("statement_endpoint_shared", "own_role_invalid")


def test_no_key_for_a_use_cannot_be_published() -> None:
    world = living("north-hospital", "vitalis")
    all_keys = [key.key_id for key in own_keys("vitalis").uses.values()]
    key = own_keys("vitalis").entity
    error = refused(rotate, world.bundle(), VITALIS, entity=key, new={}, retire=all_keys, at=world.at)
    assert error.code == "change_refused"


def rotated(world: World) -> OwnRole:
    files = rotate(
        world.bundle(),
        VITALIS,
        entity=own_keys("vitalis").entity,
        new=own_keys("vitalis", generation=2).uses,
        at=world.at,
    )
    return own_role(world.bundle(), VITALIS, files)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"organization": NORTH}, "bundle_threshold"),
        ({"organization": OrgId("nobody-here")}, "member_unknown"),
        ({"root_sha256": "0" * 64}, "invitation_other_network"),
        ({"statement": b"a.b.c"}, "bundle_tampered"),
        ({"role": b"{}"}, "bundle_malformed"),
    ],
)
def test_what_an_organization_did_not_sign_about_itself_is_not_published(change: dict[str, Any], code: str) -> None:
    world = living("north-hospital", "vitalis")
    own = replace(rotated(world), **change)
    assert refused(lambda: complete_own_role(world.bundle(), own, at=world.at)).code == code


def test_an_own_role_is_published_once_and_in_order() -> None:
    world = living("north-hospital", "vitalis")
    own = rotated(world)
    world.take(complete_own_role(world.bundle(), parse_own_role(own.to_bytes()), at=world.at))
    assert refused(lambda: complete_own_role(world.bundle(), own, at=world.at)).code == "change_outdated"


@pytest.mark.parametrize("data", [b"", b"{}", b'{"own_role_version":1}', b"[1]"])
def test_what_is_no_own_role_is_said_to_be_none(data: bytes) -> None:
    assert refused(lambda: parse_own_role(data)).code == "own_role_invalid"


@pytest.mark.parametrize("data", [b"", b"{}", b'{"approval_version":1}', b"[1]", b"\x00"])
def test_what_is_no_approval_is_said_to_be_none(data: bytes) -> None:
    assert refused(lambda: parse_approval(data)).code == "approval_invalid"


def test_an_approval_file_reads_as_it_was_written() -> None:
    world = living("north-hospital", "vitalis")
    for approval in (world.propose("remove", member=VITALIS), replaced(world), approvals(founding(), "one-one")[0]):
        assert parse_approval(approval.to_bytes()) == approval


# Plain words.


def told(world: World, kind: str, **about: Any) -> str:
    bundle = world.bundle()
    return "\n".join(differences(bundle, propose(bundle, kind, at=world.at, **about)))  # type: ignore[arg-type]  # a test's own words


def test_the_words_name_whom_and_what_a_change_is_about() -> None:
    world = living("north-hospital", "vitalis")
    world.suspend("vitalis")
    assert "the suspension 2 of vitalis is lifted" in told(world, "reinstate", member=VITALIS)
    assert "- vitalis is removed: Vitalis" in told(world, "remove", member=VITALIS)
    key = told(world, "replace_key", member=VITALIS, application=world.apply_for_key("vitalis", generation=2))
    assert f"- {own_keys('vitalis').entity.key_id}" in key
    assert f"+ {own_keys('vitalis', generation=2).entity.key_id} (compare it by voice)" in key
    holder = told(world, "replace_keyholder", leaving=make_key("one-one").key_id, joining=part("four-four"))
    assert f"- one-one signs root no more, key {make_key('one-one').key_id}" in holder
    assert f"+ four-four signs targets, key {make_key('four-four').key_id} (compare it by voice)" in holder
    assert told(world, "renew").startswith("Nothing changes but the dates.")


def test_the_words_of_an_admission_say_all_that_is_granted_and_what_was_tested() -> None:
    world = living("north-hospital")
    application = world.apply("vitalis", world.invite("vitalis"))
    words = told(world, "admit", member=VITALIS, application=application)
    assert "+ vitalis joins as an organization, public, in DE" in words
    assert "clearance up to restricted" in words
    assert "at https://vitalis.example" in words
    assert "ping ok with north-hospital" in words
    assert "Everything else stays: 2 members, 2 of 3 keyholders" in words
    assert "may say of their sign-in: acr nothing" in words


def test_no_right_that_an_applicant_asks_for_goes_unsaid() -> None:
    world = living("north-hospital")
    application = world.apply("vitalis", world.invite("vitalis"))
    asked = MayAssert(frozenset({"aff-1"}), frozenset({"role-1"}), Clearance.CONTROLLED, frozenset({"acr-1"}))
    words = told(world, "admit", member=VITALIS, application=application, granted=asked)
    assert all(said in words for said in ("affiliations aff-1", "roles role-1", "up to controlled", "acr acr-1"))
    assert len(fields(MayAssert)) == 4  # a new right needs its words


def test_an_applicants_visa_issuer_is_told_to_who_signs() -> None:
    published = read_visa_issuer(Shape(visa_metadata()["north-hospital"], "issuer"))
    world = living("north-hospital")
    application = world.apply("vitalis", world.invite("vitalis"))
    prepared = propose(world.bundle(), "admit", at=world.at, member=VITALIS, application=application)
    assert prepared.application is not None
    statement = replace(prepared.application.statement, visa_issuer=published)
    shown = replace(prepared, application=replace(prepared.application, statement=statement))
    words = "\n".join(differences(world.bundle(), shown))
    assert "signs visas as https://visas.north.example, about persons of https://idp.alma.example" in words
