"""The trust commands as a person runs them: a ceremony, a signer of its own process, a fetch, a check offline."""

from __future__ import annotations

import json
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from concordat_client.cli import main
from concordat_trust.bundle.online_signer import OnlineSigner
from concordat_trust.keys import load_private_key

TOPOLOGY: dict[str, Any] = {
    "network": "health-research-demo",
    "name": "Health research demonstration network",
    "keyholders": ["keyholder-one", "keyholder-two", "keyholder-three"],
    "threshold": 2,
    "may_assert": {"affiliations": ["staff"], "roles": ["researcher"], "clearance_max": 2},
    "coordinator": {
        "id": "relay-one",
        "legal_name": "Relay One",
        "country": "NL",
        "endpoint": "http://127.0.0.1:7000",
    },
    "organizations": [
        {
            "id": org,
            "legal_name": org.title(),
            "country": "DE",
            "organization_type": "public",
            "endpoint": f"http://127.0.0.1:{port}",
        }
        for org, port in (("north-hospital", 7001), ("alma-university", 7002), ("vitalis", 7003))
    ],
}


def concordat(*argv: str | Path) -> int:
    return main([str(a) for a in argv])


@pytest.fixture
def founded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    (tmp_path / "topology.json").write_text(json.dumps(TOPOLOGY))
    assert (
        concordat("trust", "init", "--topology", tmp_path / "topology.json", "--out", tmp_path / "net", "--json") == 0
    )
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


def test_a_ceremony_gives_every_party_its_folder(founded: dict[str, Any], tmp_path: Path) -> None:
    net = tmp_path / "net"
    assert (net / "root.sha256").read_text() == founded["root_sha256"] + "\n"
    assert set(founded["keys"]) == {
        *(f"keyholders/{name}/keyholder" for name in TOPOLOGY["keyholders"]),
        "online-signer/online",
        *(
            f"members/{org}/{key}"
            for org in ("north-hospital", "alma-university", "vitalis")
            for key in ("entity", "keys/query_token", "keys/attestation", "keys/request")
        ),
        *(f"members/relay-one/{key}" for key in ("entity", "keys/request", "keys/delivery")),
    }
    for path in map(Path, founded["keys"].values()):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_repository_holds_no_secret(founded: dict[str, Any]) -> None:
    for path in Path(founded["repository"]).rglob("*"):
        assert not path.is_file() or b"PRIVATE" not in path.read_bytes()


def test_a_founded_network_is_shown_and_verified(founded: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("--bundle", founded["repository"], "--root-sha256", founded["root_sha256"])
    assert concordat("trust", "show", *arguments, "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert [m["id"] for m in shown["members"]] == ["north-hospital", "alma-university", "vitalis", "relay-one"]
    assert shown["members"][0]["may_assert"]["clearance_max"] == 2
    assert shown["members"][3]["may_assert"] == {"affiliations": [], "roles": [], "clearance_max": 0}
    assert concordat("trust", "verify", *arguments) == 0
    assert founded["root_sha256"] in capsys.readouterr().out


def test_show_in_plain_words(founded: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    concordat("trust", "show", "--bundle", founded["repository"], "--root-sha256", founded["root_sha256"])
    text = capsys.readouterr().out
    assert "North-Hospital (DE), http://127.0.0.1:7001" in text
    assert "valid until" in text


def failed(capsys: pytest.CaptureFixture[str], *argv: str | Path) -> tuple[int, str]:
    exit_code = concordat("trust", *argv, "--json")
    captured = capsys.readouterr()
    return exit_code, json.loads(captured.out)["error"]["code"]


def test_without_a_fingerprint_nothing_is_verified(founded: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert failed(capsys, "verify", "--bundle", founded["repository"]) == (6, "root_fingerprint_missing")


@pytest.mark.parametrize("text", ["abc", "g" * 64, "0" * 63, "0" * 65])
def test_what_is_no_fingerprint_is_said_to_be_none(
    text: str, founded: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("--bundle", founded["repository"], "--root-sha256", text)
    assert failed(capsys, "verify", *arguments) == (2, "root_fingerprint_invalid")


def test_capitals_and_space_around_a_fingerprint_do_no_harm(founded: dict[str, Any]) -> None:
    fingerprint = f" {founded['root_sha256'].upper()}\n"
    assert concordat("trust", "verify", "--bundle", founded["repository"], "--root-sha256", fingerprint) == 0


@pytest.mark.parametrize(("place", "problem"), [("missing/bundle.zip", "its folder does not exist"), (".", "a folder")])
def test_a_bundle_that_could_not_be_written_is_not_fetched(
    place: str, problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = ("--mirror", "http://127.0.0.1:9/", "--root-sha256", "0" * 64)
    assert concordat("trust", "fetch", *source, "--out", tmp_path / place) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("archive_place_unusable")
    assert problem in shown
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mirror", ["nonsense", "ftp://trust.example/", "http://", "http://a.example:port/"])
def test_a_mirror_that_is_no_address_is_named(mirror: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = ("--mirror", mirror, "--root-sha256", "0" * 64)
    assert failed(capsys, "fetch", *source, "--out", tmp_path / "b.zip") == (2, "mirror_address_invalid")


def test_another_fingerprint_is_refused(founded: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("--bundle", founded["repository"], "--root-sha256", "0" * 64)
    assert failed(capsys, "verify", *arguments) == (6, "bundle_bootstrap_mismatch")


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2100-01-01T00:00:00Z", (6, "bundle_expired")),
        ("2001-01-01T00:00:00+01:00", (6, "bundle_lifetime_cap")),
        ("978307200", (6, "bundle_lifetime_cap")),
        ("2027-01-01T00:00:00", (2, "time_invalid")),
        ("yesterday", (2, "time_invalid")),
        ("9" * 30, (2, "time_invalid")),
    ],
)
def test_a_bundle_is_verified_at_the_time_that_was_asked_for(
    at: str, expected: tuple[int, str], founded: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("--bundle", founded["repository"], "--root-sha256", founded["root_sha256"], "--at", at)
    assert failed(capsys, "verify", *arguments) == expected


def test_a_changed_byte_is_found(founded: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    path = next(Path(founded["repository"]).glob("targets/members/vitalis/*"))
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    arguments = ("--bundle", founded["repository"], "--root-sha256", founded["root_sha256"])
    assert failed(capsys, "verify", *arguments) == (6, "bundle_tampered")


def test_a_missing_bundle_is_said_to_be_missing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    arguments = ("--bundle", tmp_path / "none.zip", "--root-sha256", "0" * 64)
    assert failed(capsys, "verify", *arguments) == (1, "bundle_file_unreadable")


def test_a_ceremony_overwrites_nothing(
    founded: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in (tmp_path / "net").rglob("*") if path.is_file()}
    arguments = ("--topology", tmp_path / "topology.json", "--out", tmp_path / "net")
    assert failed(capsys, "init", *arguments) == (2, "trust_folder_taken")
    assert {path: path.read_bytes() for path in (tmp_path / "net").rglob("*") if path.is_file()} == before


WRONG: list[dict[str, Any]] = [
    {"network": "X"},
    {"keyholders": ["only-one"]},
    {"keyholders": ["one-one", "one-one"]},
    {"threshold": 1},
    {"threshold": 4},
    {"minimum_cell": 1},
    {"purposes": ["XXX"]},
    {"organizations": TOPOLOGY["organizations"] * 2},
    {"organizations": [TOPOLOGY["organizations"][0] | {"endpoint": "http://example.org"}]},
    {"organizations": [TOPOLOGY["organizations"][0] | {"endpoint": "https://127.0.0.1:7000"}]},
    {"organizations": [TOPOLOGY["organizations"][0] | {"id": "targets"}]},
    {"organizations": [TOPOLOGY["organizations"][0] | {"may_assert": {"affiliations": []}}]},
    {"coordinator": None},
    {"treshold": 2},
    {"organizations": [TOPOLOGY["organizations"][0] | {"contry": "FR"}]},
    {"coordinator": TOPOLOGY["coordinator"] | {"organization_type": "public"}},
]


@pytest.mark.parametrize("change", WRONG)
def test_a_wrong_topology_founds_nothing(
    change: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "topology.json").write_text(json.dumps(TOPOLOGY | change))
    arguments = ("--topology", tmp_path / "topology.json", "--out", tmp_path / "net")
    assert failed(capsys, "init", *arguments) == (1, "topology_invalid")
    assert not (tmp_path / "net").exists()


def test_without_caps_an_organization_may_assert_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "topology.json").write_text(json.dumps({k: v for k, v in TOPOLOGY.items() if k != "may_assert"}))
    concordat("trust", "init", "--topology", tmp_path / "topology.json", "--out", tmp_path / "net", "--json")
    founded = json.loads(capsys.readouterr().out)
    concordat("trust", "show", "--bundle", founded["repository"], "--root-sha256", founded["root_sha256"], "--json")
    members = json.loads(capsys.readouterr().out)["members"]
    assert all(m["may_assert"] == {"affiliations": [], "roles": [], "clearance_max": 0} for m in members)


@pytest.fixture
def signer(founded: dict[str, Any]) -> Iterator[tuple[subprocess.Popen[str], str]]:
    argv = ["trust", "sign-online", "--repository", founded["repository"], "--key"]
    argv += [founded["keys"]["online-signer/online"], "--port", "0", "--json"]
    process = subprocess.Popen([sys.executable, "-m", "concordat_client.cli", *argv], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process, json.loads(process.stdout.readline())["url"]
    finally:
        process.kill()
        process.communicate()


def test_a_bundle_is_fetched_from_a_signer_process_and_verified_offline(
    founded: dict[str, Any],
    signer: tuple[subprocess.Popen[str], str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    process, url = signer
    archive, fingerprint = tmp_path / "bundle.zip", founded["root_sha256"]
    source = ("--mirror", "http://127.0.0.1:9/", "--mirror", url, "--root-sha256", fingerprint)
    assert concordat("trust", "fetch", *source, "--out", archive, "--json") == 0
    fetched = json.loads(capsys.readouterr().out)
    assert fetched["view"]["timestamp"] == 2
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=10) == 0
    assert concordat("trust", "verify", "--bundle", archive, "--root-sha256", fingerprint, "--json") == 0
    assert json.loads(capsys.readouterr().out)["view"] == fetched["view"]
    assert failed(capsys, "fetch", *source, "--out", archive) == (8, "mirror_unreachable")


def test_a_fetch_that_remembers_refuses_what_is_older(
    founded: dict[str, Any],
    signer: tuple[subprocess.Popen[str], str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, url = signer
    source = ("--mirror", url, "--root-sha256", founded["root_sha256"], "--out", tmp_path / "b.zip")
    assert concordat("trust", "fetch", *source, "--state", tmp_path / "state") == 0
    capsys.readouterr()
    memory = json.loads((tmp_path / "state" / "memory.json").read_bytes())
    memory["timestamp"] += 1
    (tmp_path / "state" / "memory.json").write_text(json.dumps(memory))
    assert failed(capsys, "fetch", *source, "--state", tmp_path / "state") == (6, "bundle_rollback")


def test_a_key_that_others_can_read_does_not_sign(founded: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    key = Path(founded["keys"]["online-signer/online"])
    key.chmod(0o644)
    arguments = ("--repository", founded["repository"], "--key", key, "--port", "0")
    assert failed(capsys, "sign-online", *arguments) == (1, "key_file_permissions")


def test_a_wrong_key_does_not_sign(founded: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    key = founded["keys"]["members/relay-one/keys/request"]
    arguments = ("--repository", founded["repository"], "--key", key, "--port", "0")
    before = (Path(founded["repository"]) / "timestamp.json").read_bytes()
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        assert failed(capsys, "sign-online", *arguments) == (1, "online_key_unlisted")
    finally:
        signal.signal(signal.SIGINT, handlers[0])
        signal.signal(signal.SIGTERM, handlers[1])
    assert (Path(founded["repository"]) / "timestamp.json").read_bytes() == before


def test_a_public_address_has_to_be_asked_for(founded: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    key = founded["keys"]["online-signer/online"]
    arguments = ("--repository", founded["repository"], "--key", key, "--host", "0.0.0.0")  # noqa: S104  # refused
    assert failed(capsys, "sign-online", *arguments) == (1, "online_signer_not_loopback")


def test_errors_are_plain_words_without_json(founded: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert concordat("trust", "verify", "--bundle", founded["repository"]) == 6
    assert "Ask a keyholder" in capsys.readouterr().err


def test_names_of_others_cannot_move_the_cursor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evil = [TOPOLOGY["organizations"][0] | {"legal_name": "North\x1b[2K\rVerified"}]
    (tmp_path / "topology.json").write_text(json.dumps(TOPOLOGY | {"organizations": evil}))
    concordat("trust", "init", "--topology", tmp_path / "topology.json", "--out", tmp_path / "net", "--json")
    founded = json.loads(capsys.readouterr().out)
    concordat("trust", "show", "--bundle", founded["repository"], "--root-sha256", founded["root_sha256"])
    text = capsys.readouterr().out
    assert "\x1b" not in text
    assert "\r" not in text


def suspend(
    founded: dict[str, Any], org: str, *changes: str | Path, key: str = "keyholders/keyholder-two/keyholder"
) -> int:
    options = ("--repository", founded["repository"], "--key", founded["keys"][key])
    root = ("--root-sha256", founded["root_sha256"])
    return concordat("trust", "suspend", org, *options, *root, "--reason", "Its keys leaked.", *changes)


def test_one_keyholder_suspends_an_organization_with_one_command(
    founded: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert suspend(founded, "vitalis", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["organization"], told["suspended_version"]) == ("vitalis", 2)
    assert all((Path(founded["repository"]) / name).is_file() for name in told["files"])
    assert told["files"][1] == "2.suspended.json"


@pytest.mark.parametrize(
    ("org", "key", "code"),
    [
        ("nobody-here", "keyholders/keyholder-one/keyholder", "member_unknown"),
        ("vitalis", "online-signer/online", "suspension_key_refused"),
        ("Not An Id", "keyholders/keyholder-one/keyholder", "organization_id_invalid"),
    ],
)
def test_a_suspension_that_cannot_be_signed_changes_nothing(
    founded: dict[str, Any], capsys: pytest.CaptureFixture[str], org: str, key: str, code: str
) -> None:
    before = sorted(Path(founded["repository"]).rglob("*"))
    assert suspend(founded, org, "--json", key=key) == 6
    assert json.loads(capsys.readouterr().out)["error"]["code"] == code
    assert sorted(Path(founded["repository"]).rglob("*")) == before


def renewed(founded: dict[str, Any]) -> None:
    """Let the online signer look at the repository once."""
    repository, key = Path(founded["repository"]), load_private_key(Path(founded["keys"]["online-signer/online"]))
    assert OnlineSigner(repository, key, clock=lambda: int(time.time())).refresh()


def test_two_keyholders_lift_what_one_has_done_and_one_does_not(
    founded: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repository, root = founded["repository"], ("--root-sha256", founded["root_sha256"])

    def by(keyholder: str, out: str, *command: str | Path) -> tuple[str | Path, ...]:
        key = founded["keys"][f"keyholders/{keyholder}/keyholder"]
        return (*command, "--bundle", repository, *root, "--key", key, "--yes", "--out", tmp_path / out)

    assert failed(capsys, *by("keyholder-one", "no", "reinstate", "vitalis")) == (1, "membership_transition_refused")
    assert suspend(founded, "vitalis") == 0
    renewed(founded)
    capsys.readouterr()
    assert concordat("trust", *by("keyholder-one", "first", "reinstate", "vitalis")) == 0
    assert "the suspension 2 of vitalis is lifted" in capsys.readouterr().out
    where = ("--repository", repository, *root)
    assert failed(capsys, "publish", tmp_path / "first", *where) == (6, "approvals_too_few")
    assert concordat("trust", *by("keyholder-three", "second", "approve", tmp_path / "first")) == 0
    assert concordat("trust", "publish", tmp_path / "first", tmp_path / "second", *where) == 0
    renewed(founded)
    capsys.readouterr()
    arguments = ("--bundle", founded["repository"], "--root-sha256", founded["root_sha256"], "--json")
    assert concordat("trust", "show", *arguments) == 0
    members = {member["id"]: member["suspended"] for member in json.loads(capsys.readouterr().out)["members"]}
    assert not any(members.values())


def test_a_second_keyholder_in_the_same_moment_is_told_to_try_again(
    founded: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert suspend(founded, "vitalis") == 0
    capsys.readouterr()
    assert suspend(founded, "north-hospital", "--json", key="keyholders/keyholder-one/keyholder") == 1
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "suspension_raced"


def test_nobody_suspends_without_the_root_fingerprint(
    founded: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--repository", founded["repository"], "--key", founded["keys"]["keyholders/keyholder-one/keyholder"])
    assert concordat("trust", "suspend", "vitalis", *options, "--reason", "Its keys leaked.", "--json") == 6
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "root_fingerprint_missing"


def told(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def test_verify_prints_every_rule_and_that_it_is_held(
    founded: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    from concordat_trust.bundle.rules import RULES

    where = ("--bundle", founded["repository"], "--root-sha256", founded["root_sha256"])
    assert concordat("trust", "verify", *where, "--json") == 0
    rules = told(capsys)["rules"]
    assert [(r["number"], r["state"]) for r in rules] == [(rule.number, "held") for rule in RULES]
    assert concordat("trust", "verify", *where) == 0
    printed = capsys.readouterr().out
    assert all(f"{rule.number}  held    {rule.says}" in printed for rule in RULES)


def test_verify_names_the_rule_that_is_broken_and_ends_with_exit_code_6(
    founded: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    where = ("--bundle", founded["repository"], "--root-sha256", founded["root_sha256"])
    late = ("--at", str(int(time.time()) + 7_200))
    assert concordat("trust", "verify", *where, *late, "--json") == 6
    answer = told(capsys)
    assert (answer["ok"], answer["error"]["code"]) == (False, "bundle_expired")
    assert [r["number"] for r in answer["rules"] if r["state"] == "broken"] == ["BR-18"]
    assert {r["state"] for r in answer["rules"]} == {"broken", "undecided"}
    assert concordat("trust", "verify", *where, *late) == 6
    printed = capsys.readouterr().out
    assert "BR-18  BROKEN" in printed
    assert "bundle_expired: timestamp.json expired" in printed


def test_diff_says_what_one_keyholder_did(
    founded: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import shutil

    repository, fingerprint = Path(founded["repository"]), ("--root-sha256", founded["root_sha256"])
    shutil.copytree(repository, tmp_path / "before")
    key = founded["keys"]["keyholders/keyholder-one/keyholder"]
    where = ("--repository", repository, *fingerprint, "--key", key, "--reason", "stolen laptop")
    assert concordat("trust", "suspend", "vitalis", *where) == 0
    online = load_private_key(Path(founded["keys"]["online-signer/online"]))
    OnlineSigner(repository, online, clock=lambda: int(time.time())).refresh()
    capsys.readouterr()
    assert concordat("trust", "diff", tmp_path / "before", repository, *fingerprint, "--json") == 0
    assert [(c["subject"], c["text"]) for c in told(capsys)["changes"]] == [("vitalis", "is suspended")]
    assert concordat("trust", "diff", repository, tmp_path / "before", *fingerprint) == 0
    printed = capsys.readouterr().out
    assert "vitalis                  is reinstated" in printed


def test_diff_reads_an_old_state_at_its_own_time(
    founded: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repository = Path(founded["repository"])
    online = load_private_key(Path(founded["keys"]["online-signer/online"]))
    import shutil

    shutil.copytree(repository, tmp_path / "before")
    OnlineSigner(repository, online, clock=lambda: int(time.time()) + 86_400).refresh()
    where = ("--root-sha256", founded["root_sha256"])
    assert concordat("trust", "diff", tmp_path / "before", repository, *where, "--json") == 0
    assert told(capsys)["changes"] == []
    assert concordat("trust", "diff", repository, tmp_path / "before", *where) == 0
    assert "The first state is the newer one" in capsys.readouterr().out
