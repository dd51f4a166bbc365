"""`search` and `show` against a running home node: what is printed, saved, and returned as exit code."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from concordat_client import cli
from concordat_client.config import store_session
from concordat_client.exits import Exit
from concordat_client.login import sign_in
from concordat_trust.answer import verify_saved_answer
from concordat_trust.attestation import AttestedNotice
from concordat_trust.merge import Reported
from concordat_trust.vocabulary import PURPOSE_WORDS, PURPOSES
from tests.client.running import RELAY_AT, Running
from tests.factories.answers import HOME, NORTH, VITALIS, make_asset, make_card, make_evaluation
from tests.factories.relay import Away, FakeCoordinator, demo_cards

SEARCH = ["search", "models about clinical trial", "--purpose", "HMB"]
DENIED: dict[str, Any] = {
    "status": "DENIED",
    "code": "purpose_not_admitted",
    "total": None,
    "candidates": (),
    "facets": {},
}

Run = Callable[[Sequence[str]], tuple[int, str, str]]


@pytest.fixture(scope="module")
def session_dir(running: Running, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("config")
    session = sign_in(running.address, open_url=running.browser(), timeout_s=20)
    store_session(directory / "concordat", session)
    return directory


@pytest.fixture
def run(
    running: Running, session_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Run]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(session_dir))
    honest = FakeCoordinator(running.network, clock=running.clock)
    running.coordinator.__dict__.update(honest.__dict__)

    def running_command(arguments: Sequence[str]) -> tuple[int, str, str]:
        exit_code = cli.main(arguments)
        printed = capsys.readouterr()
        return exit_code, printed.out, printed.err

    yield running_command
    running.coordinator.__dict__.update(honest.__dict__)


def test_a_complete_answer_says_so_and_lists_the_records(run: Run) -> None:
    code, out, _ = run([*SEARCH, "--facet", "task"])
    assert code == Exit.DONE
    assert "3 of 3 organizations answered (complete); 4 records match." in out
    assert " answered: 1 record\n" in out
    assert " answered: 2 records\n" in out
    assert "understood  kind is model   from “models about”" in out
    assert "as text     clinical trial" in out
    assert "Clinical sepsis model" in out
    assert "task: classification 3, regression 1" in out
    assert "general research use [DUO:0000042]" in out


def test_a_partial_answer_names_who_is_missing_and_that_it_is_not_proved(running: Running, run: Run) -> None:
    running.coordinator.reported = {VITALIS: Reported("TIMEOUT", "peer_timeout")}
    code, out, _ = run(SEARCH)
    assert code == Exit.DONE
    assert "2 of 3 organizations answered (NOT COMPLETE); at least 3 records match." in out
    assert "did not answer in time (peer_timeout); this is reported, not proved" in out
    assert run([*SEARCH, "--require-complete"])[0] == Exit.PARTIAL


def test_a_complete_answer_that_had_to_be_complete_is_done(run: Run) -> None:
    assert run([*SEARCH, "--require-complete"])[0] == Exit.DONE


def test_what_an_organization_says_of_withheld_things_is_printed_as_its_own_words(running: Running, run: Run) -> None:
    running.coordinator.attested = {NORTH: {"notice": AttestedNotice("standing", "holds_controlled", "the committee")}}
    _, out, _ = run(SEARCH)
    assert "says, whatever is asked: holds_controlled; ask the committee" in out


def test_a_refusal_everywhere_is_refused_by_policy(running: Running, run: Run) -> None:
    running.coordinator.cards = {}
    running.coordinator.attested = dict.fromkeys((HOME, NORTH, VITALIS), DENIED)
    code, out, _ = run(SEARCH)
    assert code == Exit.REFUSED_BY_POLICY
    assert "0 of 3 organizations answered (NOT COMPLETE); how many records match is not known." in out
    words = "refuses the question, and signs that it does: it answers nothing for this purpose (purpose_not_admitted)"
    assert out.count(words) == 3
    assert out.count("answered") == 1


def test_nobody_answering_is_unreachable_and_not_empty(running: Running, run: Run) -> None:
    running.coordinator.reported = dict.fromkeys((HOME, NORTH, VITALIS), Reported("UNREACHABLE", "peer_unreachable"))
    code, out, _ = run(SEARCH)
    assert code == Exit.UNREACHABLE
    assert "0 of 3 organizations answered (NOT COMPLETE)" in out


def test_a_lying_coordinator_is_named(running: Running, run: Run) -> None:
    running.coordinator.lie = lambda handed: handed.merged.update({"total": 400})
    code, out, _ = run(SEARCH)
    assert code == Exit.DONE
    assert "merge_mismatch" in out
    assert "4 records match" in out


def test_hostile_texts_of_a_record_do_not_reach_the_terminal(running: Running, run: Run) -> None:
    title = "Clinical \x1b[31mred\x1b[0m \u202etrial\nforged line"
    cards = {**demo_cards(), NORTH: [make_card(NORTH, "sepsis", title=title)]}
    running.coordinator.cards = cards
    _, out, _ = run(SEARCH)
    assert "\x1b" not in out
    assert "\u202e" not in out
    assert not any(line.startswith("forged") for line in out.splitlines())
    _, out, _ = run([*SEARCH, "--json"])
    assert out.isascii()
    assert title in {hit["record"]["title"] for hit in json.loads(out)["hits"]}


def test_the_measurement_that_was_asked_for_stands_first(running: Running, run: Run) -> None:
    measured = [make_evaluation(value=value) for value in ("0.8988", "0.9474")]
    running.coordinator.cards = {**demo_cards(), NORTH: [make_card(NORTH, "sepsis", evaluations=measured)]}
    for condition, order in (("", ["0.8988", "0.9474"]), (" with accuracy above 90%", ["0.9474", "0.8988"])):
        _, out, _ = run(["search", f"clinical models{condition}", "--purpose", "HMB"])
        values = [line.split()[1] for line in out.splitlines() if line.startswith("   accuracy 0.")]
        assert [value for value in values if value in order] == order


def test_masked_fields_and_missing_conditions_are_said(running: Running, run: Run) -> None:
    card = make_card(
        NORTH,
        "sepsis",
        level="SUMMARY",
        evaluations=None,
        masked_fields=["evaluations"],
        missing=[
            {"code": "approval_expired", "who_can_grant": "ethics_board"},
            {"code": "overlay_code", "who_can_grant": "somebody_else"},
        ],
        obligations=[{"code": "PUB", "text": "publish the results"}],
        agreement_ids=["dua-1"],
        valid_until=running.clock.now + 86_400,
    )
    running.coordinator.cards = {**demo_cards(), NORTH: [card]}
    _, out, _ = run(SEARCH)
    assert "evaluations: not shown to you" in out
    assert "not shown to you: evaluations" in out
    assert "sepsis model   [in summary]\n" in out
    words = "an ethics approval that has not expired, as yours has, from an ethics board (approval_expired)"
    assert f"you would need: {words}\n" in out
    assert "you would need: overlay_code, from somebody_else\n" in out
    assert "you must: §1\n" in out
    assert out.endswith("Using these records, you must:\n§1  publish the results\n")
    assert "under agreement dua-1" in out
    assert "shown to you until" in out


def test_what_many_records_oblige_to_is_told_once(running: Running, run: Run) -> None:
    cite, keep = {"code": "cite", "text": "cite the owner"}, {"code": "keep", "text": "pass nothing on"}
    cards = [
        make_card(NORTH, "sepsis", obligations=[cite]),
        make_card(NORTH, "stroke", obligations=[keep, cite]),
    ]
    running.coordinator.cards = {NORTH: cards}
    _, out, _ = run(SEARCH)
    assert (out.count("cite the owner"), out.count("pass nothing on")) == (1, 1)
    assert {line.strip() for line in out.splitlines() if "   you must:" in line} == {"you must: §1", "you must: §2, §1"}
    assert "[in summary]" not in out


def test_a_saved_answer_is_the_owners_alone_and_verifies(running: Running, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "answer.json"
    code, _, err = run([*SEARCH, "--save", str(path)])
    assert code == Exit.DONE
    assert str(path) in err
    assert path.stat().st_mode & 0o777 == 0o600
    assert verify_saved_answer(path.read_bytes(), bundle_at=lambda _at: running.network.bundle).merged.hits


@pytest.mark.parametrize("place", ["", "missing/answer.json"])
def test_a_place_that_cannot_hold_the_answer_is_named(run: Run, tmp_path: Path, place: str) -> None:
    code, _, err = run([*SEARCH, "--save", str(tmp_path / place)])
    assert code == Exit.USAGE
    assert "answer_file_unusable" in err


def test_json_is_one_object_with_everything(run: Run) -> None:
    code, out, _ = run([*SEARCH, "--json", "--sort", "metric:accuracy", "--ascending", "--page-size", "2"])
    shown = json.loads(out)
    assert code == Exit.DONE
    assert len(shown["hits"]) == 2
    assert shown["question"]["sort"] == {"by": "metric", "metric": "accuracy", "order": "asc"}
    assert {"completeness", "facets", "findings", "job", "merge", "understood", "saved"} <= set(shown)


@pytest.mark.parametrize(
    ("arguments", "exit_code", "code"),
    [
        (["search", "lisence:MIT", "--purpose", "HMB"], Exit.USAGE, "filter_field_unknown"),
        (["search", "x", "--purpose", "FUN"], Exit.USAGE, "purpose_unknown"),
        (["search", "x", "--purpose", "DS"], Exit.USAGE, "question_malformed"),
        (["search", "x", "--purpose", "HMB", "--sort", "price"], Exit.USAGE, "sort_unknown"),
        (["search", "x", "--purpose", "HMB", "--sort", "metric"], Exit.USAGE, "sort_unknown"),
        (["search", "x", "--purpose", "HMB", "--page-size", "51"], Exit.USAGE, "page_size_invalid"),
        (["search", "x" * 501, "--purpose", "HMB"], Exit.USAGE, "sentence_too_long"),
        (["show", "not-an-id", "--purpose", "HMB"], Exit.USAGE, "asset_id_invalid"),
    ],
)
def test_a_question_that_cannot_be_asked_says_what_to_correct(
    run: Run, arguments: list[str], exit_code: int, code: str
) -> None:
    got, _, err = run(arguments)
    assert (got, err.split(":")[0]) == (exit_code, code)
    got, out, _ = run([*arguments, "--json"])
    assert set(json.loads(out)["error"]) == {"code", "message", "hint"}
    assert got == exit_code


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--purpose", "FUN"], ["There is no purpose 'FUN'.", "DS (research on one disease)", "CC (clinical care)"]),
        (["--purpose", "HMB", "--sort", "price"], ["sorted by 'price'", "relevance, created, or metric:NAME"]),
        (["--purpose", "HMB", "--page-size", "500"], ["A page has 1 to 50 records, not 500.", "smaller page"]),
    ],
)
def test_a_question_that_cannot_be_asked_says_what_to_try(run: Run, arguments: list[str], words: list[str]) -> None:
    _, _, err = run(["search", "x", *arguments])
    assert all(part in err for part in words), err


def test_the_help_explains_every_purpose(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "1000")
    with pytest.raises(SystemExit):
        cli.main(["search", "--help"])
    shown = capsys.readouterr().out
    assert set(PURPOSE_WORDS) == set(PURPOSES)
    assert all(f"{code} {words}" in shown for code, words in PURPOSE_WORDS.items())
    assert "%%" not in shown


def test_show_prints_a_record_in_full(running: Running, run: Run) -> None:
    record = make_asset(NORTH, "sepsis", trained_on=[{"id": None, "title": "Trial arm A"}], contact="data office")
    record["versions"] = [{"label": "2.1", "released": "2026-05-04", "digest": "ab" * 32, "changes": "New scanner."}]
    record["evaluations"] = [make_evaluation() | {"version": "2.1"}]
    running.coordinator.cards = {NORTH: [record]}
    code, out, _ = run(["show", str(record["id"]), "--purpose", "HMB"])
    assert code == Exit.DONE
    assert "Clinical sepsis model" in out
    assert "trained on Trial arm A" in out
    assert "contact: data office" in out
    assert "accuracy 0.94 on trial (test, version 2.1)" in out
    assert f"version 2.1 of 2026-05-04   sha256 {'ab' * 32}\n      New scanner." in out


def test_a_record_that_is_not_shown_may_not_exist(run: Run) -> None:
    code, _, err = run(["show", "urn:concordat:north-hospital:model:" + "a" * 26, "--purpose", "HMB"])
    assert code == Exit.REFUSED_BY_POLICY
    assert "there is no such record, or it is not for you" in err


def test_a_record_of_an_owner_that_is_away_is_unreachable(running: Running, run: Run) -> None:
    running.coordinator.reported = {NORTH: Reported("UNREACHABLE", "peer_unreachable")}
    code, out, _ = run(["show", "urn:concordat:north-hospital:model:" + "a" * 26, "--purpose", "HMB"])
    assert code == Exit.UNREACHABLE
    assert "could not be reached" in out


def test_signed_out_is_its_own_exit_code(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert cli.main(SEARCH) == Exit.NOT_SIGNED_IN
    assert capsys.readouterr().err.startswith("signed_out:")


def test_the_way_without_a_coordinator_is_said(running: Running, run: Run) -> None:
    running.transport.by_endpoint[RELAY_AT] = Away()
    try:
        code, out, _ = run(SEARCH)
    finally:
        running.transport.by_endpoint[RELAY_AT] = running.coordinator
    assert code == Exit.UNREACHABLE
    assert "no coordinator could be used" in out


def test_one_page_of_several_that_were_asked_for_is_all_there_is(run: Run) -> None:
    exit_code, out, _ = run([*SEARCH, "--pages", "3", "--json"])
    (page,) = json.loads(out)["pages"]
    assert (exit_code, page["has_next"]) == (0, False)


def test_the_records_of_several_pages_are_numbered_on(running: Running, run: Run) -> None:
    running.coordinator.is_paging = True
    try:
        code, out, _ = run([*SEARCH, "--page-size", "2", "--pages", "2"])
    finally:
        running.coordinator.is_paging = False
    assert code == 0
    assert re.findall(r"^(\d+)\. ", out, re.MULTILINE) == ["1", "2", "3", "4"]


@pytest.mark.parametrize("pages", ["0", "21", "two", "-1"])
def test_a_number_of_pages_has_its_limits(run: Run, pages: str) -> None:
    with pytest.raises(SystemExit) as caught:
        run([*SEARCH, f"--pages={pages}"])
    assert caught.value.code == 2


def test_a_saved_answer_is_one_page(run: Run, tmp_path: Path) -> None:
    exit_code, _, err = run([*SEARCH, "--pages", "2", "--save", str(tmp_path / "answer.json")])
    assert exit_code == 2
    assert "pages_not_saved" in err or "one page" in err
    assert not (tmp_path / "answer.json").exists()
