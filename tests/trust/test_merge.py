"""One result of many answers: the same whoever merges, in whatever order the answers came."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concordat_trust.answer import VerifiedAnswer, VerifiedRecord
from concordat_trust.answer_errors import (
    AnswerDuplicate,
    AnswerNotInRoster,
    MergeMismatch,
    StatsRevisionMismatch,
)
from concordat_trust.attestation import Attestation, AttestedNotice
from concordat_trust.canonical import Json, JsonObject, canonical_bytes, parse_json
from concordat_trust.ids import OrgId, tie_key
from concordat_trust.merge import (
    CODE_MALFORMED,
    NOT_REPORTED,
    STATUS_NOT_PROVED,
    Entry,
    MergedResult,
    Reported,
    UnprovedStatus,
    entry_of,
    first_difference,
    merge,
    require_same_result,
)
from concordat_trust.question import Part, Question, Sort
from concordat_trust.vocabulary import PROVED
from tests.factories.answers import (
    HOME,
    NORTH,
    SEALING_KEY,
    VITALIS,
    asset_id,
    demo_network,
    make_answer,
    make_asset,
    make_assets_question,
    make_attestation,
    make_card,
    make_evaluation,
    make_question,
    open_with,
    verified,
)
from tests.factories.tokens import PROPERTY

ROSTER = (HOME, NORTH, VITALIS)
NETWORK = demo_network()
STATISTICS = NETWORK.bundle.statistics
QUESTION = make_question()


def answered(org: OrgId, *names: str, question: Question = QUESTION, **changes: Any) -> VerifiedAnswer:
    """A real, verified answer of `org` with one card per name."""
    cards = [make_card(org, name) for name in names]
    return verified(NETWORK, make_answer(NETWORK, cards, org=org, question=question, **changes), question=question)


def merged(
    answers: Sequence[VerifiedAnswer],
    reported: Mapping[OrgId, Reported] | None = None,
    *,
    question: Question = QUESTION,
    roster: Sequence[OrgId] = ROSTER,
) -> MergedResult:
    return merge(question, answers, reported or {}, roster, STATISTICS)


ALL = (answered(HOME, "diabetes"), answered(NORTH, "sepsis", "heart"), answered(VITALIS))


def test_three_answers_make_one_exact_and_complete_result() -> None:
    result = merged(ALL)
    assert (result.total, result.total_at_least, result.is_exact) == (3, 3, True)
    assert result.facets == {"kind": {"model": 3}, "task": {"classification": 3}}
    assert (result.completeness.asked, result.completeness.answered, result.completeness.complete) == (3, 3, True)
    assert {(hit.organization, hit.record["organization"]) for hit in result.hits} == {(HOME, HOME), (NORTH, NORTH)}


@PROPERTY
@given(st.permutations(ALL), st.permutations(ROSTER))
def test_the_result_does_not_depend_on_the_order_of_answers(answers: list[VerifiedAnswer], roster: list[OrgId]) -> None:
    assert merged(answers, roster=roster).canonical() == merged(ALL).canonical()


# --- completeness -----------------------------------------------------------------------------------------------------


def test_every_organization_of_the_roster_appears_exactly_once() -> None:
    result = merged([ALL[1]], {HOME: Reported("TIMEOUT")}, roster=(VITALIS, *ROSTER))
    assert [entry.organization for entry in result.completeness.entries] == sorted(ROSTER)


def test_an_organization_nobody_speaks_of_is_skipped_and_not_reported() -> None:
    (entry,) = merged([], roster=[NORTH]).completeness.entries
    assert entry == Entry(NORTH, "SKIPPED", NOT_REPORTED, "home", None, None)


@pytest.mark.parametrize("status", get_args(get_args(UnprovedStatus)[0]) + get_args(get_args(UnprovedStatus)[1]))
def test_a_failed_node_is_never_an_empty_one(status: Any) -> None:
    result = merged(ALL[:2], {VITALIS: Reported(status, "some_code")})
    entry = result.completeness.entries[2]
    assert (entry.status, entry.code, entry.proved, entry.total) == (status, "some_code", False, None)
    assert (result.total, result.total_at_least, result.is_exact) == (None, 3, False)
    assert result.completeness.missing == (entry,)
    assert not result.completeness.complete


def test_a_suppressed_number_is_never_a_zero() -> None:
    suppressed = answered(VITALIS, status="SUPPRESSED", total=None)
    result = merged([*ALL[:2], suppressed])
    assert (result.total, result.total_at_least) == (None, 3)
    assert result.completeness.entries[2].total is None
    assert (result.completeness.answered, result.completeness.complete) == (3, True)


@pytest.mark.parametrize("status", ["DENIED", "UNSUPPORTED"])
def test_a_proved_refusal_is_missing_and_proved(status: Any) -> None:
    denied = answered(VITALIS, status=status, code="purpose_not_admitted", total=None, facets={})
    result = merged([*ALL[:2], denied])
    (missing,) = result.completeness.missing
    assert (missing.status, missing.code, missing.proved) == (status, "purpose_not_admitted", True)
    assert (result.total, result.completeness.answered) == (None, 2)


def test_an_empty_answer_is_a_known_zero() -> None:
    assert merged(ALL).completeness.entries[2].total == 0


def test_a_notice_is_shown_as_its_node_signed_it() -> None:
    standing = AttestedNotice("standing", "more_with_agreement", "data@vitalis.example")
    entry = merged([answered(VITALIS, notice=standing)], roster=[VITALIS]).completeness.entries[0]
    assert entry.notice == standing
    assert entry.to_json()["notice"] == {
        "mode": "standing",
        "code": "more_with_agreement",
        "contact": "data@vitalis.example",
    }


def test_a_proof_outweighs_a_report() -> None:
    assert merged(ALL, {NORTH: Reported("TIMEOUT")}).canonical() == merged(ALL).canonical()


def test_a_report_about_a_stranger_changes_nothing() -> None:
    assert merged(ALL, {OrgId.parse("stranger"): Reported("TIMEOUT")}).canonical() == merged(ALL).canonical()


def test_the_roster_is_not_the_relays() -> None:
    with pytest.raises(AnswerNotInRoster) as refused:
        merged(ALL, roster=[HOME, VITALIS])
    assert refused.value.fields["organization"] == NORTH


def test_two_answers_of_one_organization_are_refused() -> None:
    with pytest.raises(AnswerDuplicate) as refused:
        merged([*ALL, ALL[1]])
    assert refused.value.fields["organization"] == NORTH


def test_records_scored_with_other_statistics_are_not_merged() -> None:
    with pytest.raises(StatsRevisionMismatch):
        merged(ALL, question=replace(QUESTION, stats_revision="0" * 64))


def test_refusals_are_merged_whatever_statistics_the_question_names() -> None:
    denied = answered(VITALIS, status="UNSUPPORTED", code="statistics_unknown", total=None, facets={})
    result = merged([denied], question=replace(QUESTION, stats_revision="0" * 64))
    assert [entry.status for entry in result.completeness.entries] == ["SKIPPED", "SKIPPED", "UNSUPPORTED"]


@pytest.mark.parametrize("status", [*PROVED, "", "FINE", "timeout"])
def test_a_relay_cannot_report_what_only_a_proof_says(status: str) -> None:
    assert Reported.of(status, None) == Reported("INVALID", STATUS_NOT_PROVED)


def test_a_reported_code_is_of_the_closed_form() -> None:
    assert Reported.of("TIMEOUT", "peer_timeout") == Reported("TIMEOUT", "peer_timeout")
    assert Reported.of("TIMEOUT", None) == Reported("TIMEOUT", None)
    assert Reported.of("REFUSED", "\x1b[2J<script>") == Reported("REFUSED", CODE_MALFORMED)


# --- order ------------------------------------------------------------------------------------------------------------


def test_equal_scores_are_ordered_by_the_hash_of_the_id_across_organizations() -> None:
    cards = [make_card(org, "same", title="Trial") for org in ROSTER]
    answers = [verified(NETWORK, make_answer(NETWORK, [card], org=str(card["organization"]))) for card in cards]
    result = merged(answers)
    assert len({hit.sort_key for hit in result.hits}) == 1
    assert [hit.record["id"] for hit in result.hits] == sorted((str(c["id"]) for c in cards), key=tie_key)


def test_sort_keys_are_computed_again_and_not_taken_over() -> None:
    liar = replace(ALL[0], records=tuple(item._replace(sort_key=10**9, tie="0" * 16) for item in ALL[0].records))
    assert merged([liar, *ALL[1:]]).canonical() == merged(ALL).canonical()


def test_undisclosed_keys_come_last_in_both_directions() -> None:
    question = make_question(sort=Sort("metric", "accuracy"))
    shown, hidden = make_card(NORTH, "shown"), make_card(HOME, "hidden", evaluations=None)
    low = make_card(VITALIS, "low", evaluations=[make_evaluation(value="0.1")])

    def ids(asked: Question) -> list[Json]:
        answers = [
            verified(
                NETWORK, make_answer(NETWORK, [card], org=str(card["organization"]), question=asked), question=asked
            )
            for card in (hidden, low, shown)
        ]
        return [hit.record["id"] for hit in merged(answers, question=asked).hits]

    assert ids(question) == [shown["id"], low["id"], hidden["id"]]
    rising = replace(question, sort=Sort("metric", "accuracy", "asc"))
    assert ids(rising) == [low["id"], shown["id"], hidden["id"]]


def test_only_the_first_page_is_given_because_what_follows_may_be_incomplete() -> None:
    question = make_question(page_size=2)
    names = [f"name {number}" for number in range(5)]
    result = merged([answered(NORTH, *names, question=question)], question=question, roster=[NORTH])
    whole = merged([answered(NORTH, *names)], roster=[NORTH])
    assert result.hits == whole.hits[:2]
    assert result.total == 5


def test_every_asset_that_was_asked_for_is_given() -> None:
    question = make_assets_question()
    names = [f"name {number}" for number in range(25)]
    part = Part(tuple(asset_id(NORTH, name) for name in names))
    assets = [make_asset(NORTH, name) for name in names]
    answer = make_answer(NETWORK, assets, org=NORTH, question=question, part=part)
    checked = verified(NETWORK, answer, question=question, part=part)
    assert len(merged([checked], question=question, roster=[NORTH]).hits) == 25


# --- composition: any split of the records over nodes gives the same result -------------------------------------------

_NAMES = [f"n{number}" for number in range(40)]
cards_strategy = st.lists(
    st.builds(
        lambda name, title, task, value: make_card(
            NORTH, name, title=title, task=task, evaluations=[make_evaluation(value=value)]
        ),
        st.sampled_from(_NAMES),
        st.sampled_from(["Trial", "Clinical trial", "Sepsis trial", "A trial of trials"]),
        st.sampled_from(["classification", "regression", None, ""]),
        st.sampled_from(["0.5", "0.91", "0.9"]),
    ),
    max_size=12,
    unique_by=lambda card: str(card["id"]),
)
sorts = st.sampled_from([Sort(), Sort("metric", "accuracy"), Sort("metric", "accuracy", "asc"), Sort("created")])


def held_by(org: OrgId, cards: Sequence[JsonObject], question: Question) -> VerifiedAnswer:
    """What `org` would have proved if these were its records (whose ids name another one: split freely)."""
    attestation: Attestation = make_attestation(NETWORK, cards, org=org, question=question)
    return VerifiedAnswer(org, attestation, tuple(VerifiedRecord(card, None, "") for card in cards))


def without_owner(result: MergedResult) -> tuple[list[tuple[JsonObject, int | None]], int | None, Any]:
    return [(hit.record, hit.sort_key) for hit in result.hits], result.total, result.facets


@PROPERTY
@given(cards_strategy, sorts, st.integers(1, 5), st.randoms(use_true_random=False))
def test_the_result_does_not_depend_on_which_node_holds_which_record(
    cards: list[JsonObject], sort: Sort, page_size: int, chance: random.Random
) -> None:
    question = make_question(sort=sort, page_size=page_size)
    shares: dict[OrgId, list[JsonObject]] = {org: [] for org in ROSTER}
    for card in cards:
        shares[chance.choice(ROSTER)].append(card)
    split = [held_by(org, share, question) for org, share in shares.items()]
    chance.shuffle(split)
    one = [held_by(HOME, cards, question), held_by(NORTH, [], question), held_by(VITALIS, [], question)]
    assert without_owner(merged(split, question=question)) == without_owner(merged(one, question=question))


@PROPERTY
@given(cards_strategy)
def test_sums_are_exact(cards: list[JsonObject]) -> None:
    shares = {HOME: cards[::2], NORTH: cards[1::2], VITALIS: []}
    result = merged([held_by(org, share, QUESTION) for org, share in shares.items()])
    assert result.total == len(cards)
    assert result.facets["task"] == Counter(str(card["task"]) for card in cards if card["task"])
    assert result.facets["kind"] == Counter(str(card["kind"]) for card in cards)


def test_the_largest_counts_a_node_may_state_stay_canonical_numbers() -> None:
    huge = replace(ALL[0].attestation, total=10**9, facets={"kind": {"model": 10**9}})
    orgs = [OrgId.parse(f"org-{number}") for number in range(1_000)]
    result = merged([VerifiedAnswer(org, huge, ()) for org in orgs], roster=orgs)
    assert result.total == result.facets["kind"]["model"] == 10**12
    assert parse_json(result.canonical(), bytes_max=10**7)


# --- comparing with what somebody else merged -------------------------------------------------------------------------


def test_a_relays_result_is_compared_with_ones_own() -> None:
    require_same_result(parse_json(merged(ALL).canonical(), bytes_max=10**6), merged(ALL))


def test_what_a_relay_could_not_read_is_left_out_of_the_comparison() -> None:
    cards = [make_card(NORTH, "sepsis"), make_card(NORTH, "heart")]
    closed = frozenset({str(cards[0]["id"])})
    answer = make_answer(NETWORK, cards, org=NORTH, sealed=closed)
    at_relay = verified(NETWORK, answer)
    at_home = verified(NETWORK, answer, open_sealed=open_with(SEALING_KEY))
    assert len(at_home.records) == 2
    theirs = merged([at_relay], roster=[NORTH]).to_json()
    require_same_result(theirs, merged([at_home.as_relay_saw()], roster=[NORTH]))
    with pytest.raises(MergeMismatch):
        require_same_result(theirs, merged([at_home], roster=[NORTH]))


ALTERATIONS: dict[str, tuple[Any, str]] = {
    "order": (lambda r: r["hits"].reverse(), "result.hits[0]"),
    "a hit withheld": (lambda r: r["hits"].pop(), "result.hits[2]"),
    "a hit repeated": (lambda r: r["hits"].append(r["hits"][0]), "result.hits[3]"),
    "a record changed": (lambda r: r["hits"][1]["record"].update(title="x"), "result.hits[1].record.title"),
    "a score changed": (lambda r: r["hits"][1].update(sort_key=1), "result.hits[1].sort_key"),
    "an owner changed": (lambda r: r["hits"][1].update(organization="vitalis"), "result.hits[1].organization"),
    "a total changed": (lambda r: r.update(total=4), "result.total"),
    "a facet changed": (lambda r: r["facets"]["kind"].update(model=4), "result.facets.kind.model"),
    "a facet invented": (lambda r: r["facets"]["kind"].update(x=1), "result.facets.kind.x"),
    "a facet removed": (lambda r: r["facets"].pop("kind"), "result.facets.kind"),
    "a status changed": (
        lambda r: r["completeness"]["entries"][0].update(status="DENIED"),
        "result.completeness.entries[0].status",
    ),
    "an entry removed": (lambda r: r["completeness"]["entries"].pop(), "result.completeness.entries[2]"),
    "complete as 1": (lambda r: r["completeness"].update(complete=1), "result.completeness.complete"),
    "a member more": (lambda r: r.update(more=None), "result.more"),
}


@pytest.mark.parametrize(("alter", "where"), ALTERATIONS.values(), ids=ALTERATIONS.keys())
def test_any_alteration_of_a_result_is_found_where_it_is(alter: Any, where: str) -> None:
    theirs: Any = parse_json(merged(ALL).canonical(), bytes_max=10**6)
    alter(theirs)
    with pytest.raises(MergeMismatch) as refused:
        require_same_result(theirs, merged(ALL))
    assert str(refused.value.fields["where"]).startswith(where)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=3),
    max_leaves=8,
)


@PROPERTY
@given(json_values, json_values)
def test_two_values_differ_somewhere_exactly_when_their_canonical_bytes_do(left: Any, right: Any) -> None:
    assert (first_difference(left, right) is None) == (canonical_bytes(left) == canonical_bytes(right))


def test_nobody_at_all_is_not_a_complete_answer() -> None:
    result = merged([], roster=[])
    assert (result.completeness.complete, result.total, result.is_exact) == (False, None, False)


# --- what a mutant of `merge` would change and no test above would notice ---------------------------------------------


def test_home_may_say_what_it_found_and_a_coordinator_may_not() -> None:
    assert Reported.of("STALE", "bundle_stale", "home") == Reported("STALE", "bundle_stale", "home")
    assert Reported.of("STALE", "bundle_stale").status == "INVALID"


def test_a_code_with_anything_behind_it_is_none() -> None:
    assert Reported.of("TIMEOUT", "peer_timeout").code == "peer_timeout"
    assert Reported.of("TIMEOUT", "peer_timeout <b>").code == "code_malformed"


def test_what_home_could_not_do_is_no_finding_of_home() -> None:
    assert Reported.at_home("INVALID", "record_missing").is_finding
    assert not Reported.at_home("UNREACHABLE", "coordinator_unreachable").is_finding
    assert not Reported("INVALID", "record_missing").is_finding


def test_organizations_and_values_are_told_in_their_order() -> None:
    orgs = [OrgId.parse(f"org-{number * 7919 % 100:03d}") for number in range(60)]
    result = merged([], roster=orgs)
    assert [entry.organization for entry in result.completeness.entries] == sorted(orgs)
    cells = {f"v{number * 7919 % 100:03d}": 1 for number in range(60)}
    answer = VerifiedAnswer(NORTH, replace(ALL[0].attestation, facets={"kind": cells}), ())
    assert list(merged([answer], roster=[NORTH]).facets["kind"]) == sorted(cells)


def test_of_several_differences_the_first_in_order_is_named() -> None:
    left: Any = {f"k{number:02d}": 0 for number in range(40)}
    right: Any = {f"k{number:02d}": 1 for number in range(40)}
    assert first_difference(left, right) == "result.k00"
    assert first_difference(left, {**left, "a": 1, "z": 1}) == "result.a"


@pytest.mark.parametrize(("left", "right"), [("ab", ["a", "b"]), (["a", "b"], "ab"), ({}, []), ([], {}), (None, [])])
def test_a_list_is_no_text_and_no_object(left: Any, right: Any) -> None:
    assert first_difference(left, right) == "result"


def test_one_organization_alone_comes_to_what_merge_would_say() -> None:
    answer = ALL[0]
    by_merge = {entry.organization: entry for entry in merged([answer]).completeness.entries}
    assert entry_of(answer.org, answer) == by_merge[answer.org]
    report = Reported("TIMEOUT", "peer_timeout")
    assert entry_of(VITALIS, report).status == "TIMEOUT"
    assert (entry_of(VITALIS, report).said_by, entry_of(answer.org, answer).said_by) == ("coordinator", "organization")


def test_one_answer_that_stayed_closed_makes_the_result_partial() -> None:
    assert not merged(ALL).is_partial
    assert merged([replace(ALL[0], is_closed=True), *ALL[1:]]).is_partial
    assert merged(ALL).to_json()["partial"] is False
