"""`concordat verify`: offline, from the root fingerprint, with every alteration found and named."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from concordat_client import cli
from concordat_client.config import pin_root, pinned_root
from concordat_client.exits import Exit
from concordat_trust.bundle.store import archive_bytes
from concordat_trust.canonical import canonical_bytes
from tests.factories.answers import NORTH, demo_network, make_saved
from tests.factories.network import NETWORK_ID, NOW

NETWORK = demo_network()
Run = Callable[[Sequence[str]], tuple[int, str, str]]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    path = tmp_path / "bundle.zip"
    path.write_bytes(archive_bytes(NETWORK.files))
    return path


@pytest.fixture
def answer(tmp_path: Path) -> Path:
    path = tmp_path / "answer.json"
    path.write_bytes(make_saved().to_bytes())
    return path


@pytest.fixture
def run(config_home: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def running_command(arguments: Sequence[str]) -> tuple[int, str, str]:
        exit_code = cli.main(arguments)
        printed = capsys.readouterr()
        return exit_code, printed.out, printed.err

    return running_command


def command(answer: Path, bundle: Path, *more: str) -> list[str]:
    return ["verify", str(answer), "--bundle", str(bundle), *more]


def by_root(answer: Path, bundle: Path, *more: str) -> list[str]:
    return command(answer, bundle, "--root-sha256", NETWORK.root_sha256, *more)


def altered(answer: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    document = json.loads(answer.read_bytes())
    change(document)
    answer.write_bytes(canonical_bytes(document))
    return answer


def test_a_good_answer_holds_and_the_words_say_what_was_checked(run: Run, answer: Path, bundle: Path) -> None:
    code, out, _ = run(by_root(answer, bundle))
    assert code == Exit.DONE
    assert out.startswith("This answer holds.")
    assert NETWORK.root_sha256 in out
    assert "through relay-one, whose delivery matches" in out
    assert "records   3: each is byte for byte what its organization signed" in out
    assert "2 of 3 organizations answered (NOT COMPLETE)" in out
    assert "did not answer in time (peer_timeout); this is reported, not proved" in out


def test_json_says_it_for_programs(run: Run, answer: Path, bundle: Path) -> None:
    code, out, _ = run(by_root(answer, bundle, "--json"))
    shown = json.loads(out)
    assert (code, shown["ok"], shown["complete"]) == (Exit.DONE, True, False)
    assert len(shown["records"]) == 3


def _record(document: dict[str, Any]) -> dict[str, Any]:
    record: dict[str, Any] = document["answers"][NORTH]["results"][0]["record"]
    return record


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda d: _record(d).update(title="Better"), "record_not_attested"),
        (lambda d: d["answers"][NORTH]["results"].pop(), "record_missing"),
        (lambda d: d["answers"][NORTH].update(attestation=d["answers"]["alma-university"]["attestation"]),
         "attestation_wrong_organization"),
        (lambda d: d["answers"].pop(NORTH), "delivery_mismatch"),
        (lambda d: d["reported"]["vitalis"].update(status="OVERLOADED"), "delivery_mismatch"),
        (lambda d: d.update(delivery=None), "delivery_missing"),
        (lambda d: d["result"].update(total_at_least=400), "merge_mismatch"),
        (lambda d: d["result"]["completeness"].update(complete=True), "merge_mismatch"),
        (lambda d: d.update(question=d["question"].replace("clinical", "clinicaI")), "token_question_mismatch"),
        (lambda d: d.update(network="another-network"), "saved_answer_wrong_network"),
        (lambda d: d.update(more=1), "saved_answer_malformed"),
    ],
)  # fmt: skip
def test_an_altered_answer_is_found_and_named(
    run: Run, answer: Path, bundle: Path, change: Callable[[dict[str, Any]], object], code: str
) -> None:
    exit_code, out, _ = run(by_root(altered(answer, change), bundle, "--json"))
    assert (exit_code, json.loads(out)["error"]["code"]) == (Exit.TRUST_FAILED, code)


def test_one_changed_byte_in_a_record_says_whose_and_where(run: Run, answer: Path, bundle: Path) -> None:
    content = answer.read_bytes()
    assert content.count(b"Clinical sepsis model") >= 1
    answer.write_bytes(content.replace(b"Clinical sepsis model", b"Clinical sepsis modeL", 1))
    exit_code, _, err = run(by_root(answer, bundle))
    assert exit_code == Exit.TRUST_FAILED
    assert err.startswith("record_not_attested: Result ")
    assert NORTH in err


def test_another_root_fingerprint_is_refused(run: Run, answer: Path, bundle: Path) -> None:
    exit_code, _, err = run(command(answer, bundle, "--root-sha256", "0" * 64))
    assert (exit_code, err.split(":")[0]) == (Exit.TRUST_FAILED, "bundle_bootstrap_mismatch")


def test_without_a_root_nothing_is_verified(run: Run, answer: Path, bundle: Path) -> None:
    for arguments in (command(answer, bundle), command(answer, bundle, "--network", NETWORK_ID)):
        exit_code, out, err = run(arguments)
        assert (exit_code, err.split(":")[0], out) == (Exit.TRUST_FAILED, "root_not_pinned", "")
        assert f"the network '{NETWORK_ID}'" in err


def test_what_is_no_fingerprint_is_said_to_be_none(run: Run, answer: Path, bundle: Path) -> None:
    exit_code, _, err = run(command(answer, bundle, "--root-sha256", "abc"))
    assert (exit_code, err.split(":")[0]) == (Exit.USAGE, "root_fingerprint_invalid")


def test_a_pinned_network_is_verified_by_its_name(run: Run, answer: Path, bundle: Path, config_home: Path) -> None:
    assert run(by_root(answer, bundle, "--pin"))[0] == Exit.DONE
    assert pinned_root(config_home, NETWORK_ID) == NETWORK.root_sha256
    assert run(command(answer, bundle, "--network", NETWORK_ID))[0] == Exit.DONE
    assert run(command(answer, bundle))[0] == Exit.DONE


def test_a_wrong_pin_refuses_a_good_answer(run: Run, answer: Path, bundle: Path, config_home: Path) -> None:
    pin_root(config_home, NETWORK_ID, "0" * 64)
    exit_code, _, err = run(command(answer, bundle, "--network", NETWORK_ID))
    assert (exit_code, err.split(":")[0]) == (Exit.TRUST_FAILED, "bundle_bootstrap_mismatch")


def test_nothing_is_pinned_when_the_answer_does_not_hold(
    run: Run, answer: Path, bundle: Path, config_home: Path
) -> None:
    run(by_root(altered(answer, lambda d: d.update(delivery=None)), bundle, "--pin"))
    assert run(command(answer, bundle, "--network", NETWORK_ID))[0] == Exit.TRUST_FAILED
    assert not (config_home / "networks").exists()


def test_the_time_is_that_of_the_answers_and_never_now(run: Run, answer: Path, bundle: Path) -> None:
    # NOW lies years away from the clock of this machine, or behind it: neither matters.
    assert run(by_root(answer, bundle))[0] == Exit.DONE
    assert run(by_root(answer, bundle, "--at", str(NOW + 60)))[0] == Exit.DONE
    exit_code, _, err = run(by_root(answer, bundle, "--at", str(NOW + 365 * 86_400)))
    assert (exit_code, err.split(":")[0]) == (Exit.TRUST_FAILED, "bundle_expired")


def test_a_time_that_could_mean_two_moments_is_refused(run: Run, answer: Path, bundle: Path) -> None:
    assert run(by_root(answer, bundle, "--at", "2027-01-15T08:00:00"))[2].startswith("time_invalid")


def test_a_file_that_is_not_there_is_named(run: Run, answer: Path, bundle: Path, tmp_path: Path) -> None:
    exit_code, _, err = run(by_root(tmp_path / "missing.json", bundle))
    assert (exit_code, err.split(":")[0]) == (Exit.USAGE, "answer_file_unusable")
    _, _, err = run(by_root(answer, tmp_path / "missing.zip"))
    assert err.split(":")[0] == "bundle_file_unreadable"


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[]", b"null", b'{"answer_version":1}'])
def test_a_file_that_is_no_answer_is_refused(run: Run, answer: Path, bundle: Path, content: bytes) -> None:
    answer.write_bytes(content)
    exit_code, _, err = run(by_root(answer, bundle))
    assert (exit_code, err.split(":")[0]) == (Exit.TRUST_FAILED, "saved_answer_malformed")
