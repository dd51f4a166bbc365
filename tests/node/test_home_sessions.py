"""Sessions, stored searches, claims and pseudonyms of the home node."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import Engine, inspect
from sqlalchemy.exc import OperationalError

from concordat_node.home.claims import ClaimRules, ClaimsMapping, PersonClaims, Rule, map_claims, within_caps
from concordat_node.home.database import LAYOUT, open_home_database
from concordat_node.home.errors import (
    ClaimNotAssertable,
    HomeSettingsInvalid,
    HomeStorageFailed,
    NotSignedIn,
    PersonNotMapped,
)
from concordat_node.home.home_key import HomeKeyUnusable, load_home_key, save_home_key
from concordat_node.home.person import Person
from concordat_node.home.pseudonym import pseudonym
from concordat_node.home.sessions import SESSIONS_PER_SUBJECT_MAX, SessionKind, SessionStore
from concordat_node.home.settings import is_trustworthy_url, parse_home_settings
from concordat_trust.canonical import Json, JsonObject
from concordat_trust.question import Purpose
from tests.factories.home import Entropy, home_settings_json

NOW = 1_800_000_000
IDLE_S, ABSOLUTE_S = 600, 3_600
PERSON = Person("person-1", PersonClaims("staff", "researcher", 2))
PURPOSE = Purpose("HMB")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = open_home_database(tmp_path / "home.sqlite3")
    yield made
    made.dispose()


@pytest.fixture
def sessions(engine: Engine) -> SessionStore:
    return SessionStore(engine, idle_s=IDLE_S, absolute_s=ABSOLUTE_S, entropy=Entropy())


def test_a_failed_statement_does_not_quote_its_values(engine: Engine, sessions: SessionStore) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE session RENAME TO away")
    with pytest.raises(OperationalError) as failed:
        sessions.open(PERSON, now=NOW)
    assert "person-1" not in str(failed.value)
    assert str(NOW) not in str(failed.value)


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\x00" + b"\xff" * 4_000])
def test_a_home_database_that_is_none_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "broken.sqlite3").write_bytes(content)
    with pytest.raises(HomeStorageFailed):
        open_home_database(tmp_path / "broken.sqlite3")


def test_a_token_gives_back_the_person(sessions: SessionStore) -> None:
    token, opened = sessions.open(PERSON, now=NOW)
    assert sessions.resolve(token, now=NOW + 1) == opened
    assert opened.claims == PERSON.claims
    assert len(token) == 43


def test_a_token_is_not_stored(sessions: SessionStore, tmp_path: Path, engine: Engine) -> None:
    token, _ = sessions.open(PERSON, now=NOW)
    engine.dispose()
    files = [file.read_bytes() for file in tmp_path.iterdir()]
    assert files
    assert not any(token.encode() in content for content in files)


def test_a_session_ends_when_it_is_idle(sessions: SessionStore) -> None:
    token, _ = sessions.open(PERSON, now=NOW)
    sessions.resolve(token, now=NOW + IDLE_S - 1)
    sessions.resolve(token, now=NOW + 2 * IDLE_S - 2)
    with pytest.raises(NotSignedIn):
        sessions.resolve(token, now=NOW + 3 * IDLE_S)


def test_a_session_ends_even_when_it_is_used(sessions: SessionStore) -> None:
    token, opened = sessions.open(PERSON, now=NOW)
    for at in range(NOW, NOW + ABSOLUTE_S, IDLE_S - 1):
        sessions.resolve(token, now=at)
    assert opened.ends_at == NOW + ABSOLUTE_S
    with pytest.raises(NotSignedIn):
        sessions.resolve(token, now=NOW + ABSOLUTE_S)


@pytest.mark.parametrize("token", ["", "x", "x" * 43, "x" * 10_000])
def test_an_unknown_token_is_not_signed_in(sessions: SessionStore, token: str) -> None:
    with pytest.raises(NotSignedIn):
        sessions.resolve(token, now=NOW)


def test_signing_out_ends_the_session(sessions: SessionStore) -> None:
    token, session = sessions.open(PERSON, now=NOW)
    assert sessions.close(token) == session.session_id
    with pytest.raises(NotSignedIn):
        sessions.resolve(token, now=NOW)
    with pytest.raises(NotSignedIn):
        sessions.close(token)


@pytest.mark.parametrize(("kind", "other"), [("program", "browser"), ("browser", "program")])
def test_a_token_of_one_kind_is_none_of_the_other(
    sessions: SessionStore, kind: SessionKind, other: SessionKind
) -> None:
    token, _ = sessions.open(PERSON, now=NOW, kind=kind)
    with pytest.raises(NotSignedIn):
        sessions.resolve(token, now=NOW, kind=other)
    with pytest.raises(NotSignedIn):
        sessions.close(token, kind=other)
    assert sessions.resolve(token, now=NOW, kind=kind).subject == PERSON.subject


def test_the_oldest_session_makes_room(sessions: SessionStore) -> None:
    first, _ = sessions.open(PERSON, now=NOW)
    others = [sessions.open(PERSON, now=NOW + 1 + i)[0] for i in range(SESSIONS_PER_SUBJECT_MAX)]
    with pytest.raises(NotSignedIn):
        sessions.resolve(first, now=NOW + 30)
    assert all(sessions.resolve(token, now=NOW + 30) for token in others)


def test_the_home_file_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "home.sqlite3"
    path.touch(mode=0o644)
    open_home_database(path).dispose()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_home_file_of_another_layout_is_emptied(tmp_path: Path) -> None:
    path = tmp_path / "home.sqlite3"
    engine = open_home_database(path)
    store = SessionStore(engine, idle_s=IDLE_S, absolute_s=ABSOLUTE_S, entropy=Entropy())
    token, _ = store.open(PERSON, now=NOW)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"PRAGMA user_version = {LAYOUT + 1}")
        connection.exec_driver_sql("CREATE TABLE of_another_time (secret TEXT)")
    engine.dispose()
    again = open_home_database(path)
    with pytest.raises(NotSignedIn):
        SessionStore(again, idle_s=IDLE_S, absolute_s=ABSOLUTE_S, entropy=Entropy()).resolve(token, now=NOW)
    assert "of_another_time" not in inspect(again).get_table_names()
    again.dispose()


@dataclass
class Caps:
    affiliations: frozenset[str] = frozenset({"staff"})
    roles: frozenset[str] = frozenset({"researcher"})
    clearance_max: int = 1
    acr_values: frozenset[str] = frozenset({"mfa"})


def rules(claim: str, *pairs: tuple[str, str]) -> ClaimRules:
    return ClaimRules(claim, tuple(Rule(is_, becomes) for is_, becomes in pairs))


MAPPING = ClaimsMapping(
    affiliation=rules("groups", ("g-staff", "staff"), ("g-all", "member")),
    role=rules("title", ("Dr", "researcher"), ("7", "researcher")),
    clearance=rules("level", ("high", "controlled"), ("low", "registered")),
)


def test_the_first_declared_rule_decides_not_the_order_of_the_claim() -> None:
    claims = map_claims({"groups": ["g-all", "g-staff"], "title": "Dr", "level": ["low", "high"]}, MAPPING)
    assert claims == PersonClaims("staff", "researcher", 2)


def test_a_person_without_a_declared_clearance_has_the_lowest() -> None:
    assert map_claims({"groups": "g-staff", "title": 7}, MAPPING).clearance == 0


@pytest.mark.parametrize("provided", [{"title": "Dr"}, {"groups": "g-staff"}, {"groups": True, "title": {}}, {}])
def test_a_person_without_affiliation_or_role_is_not_mapped(provided: dict[str, object]) -> None:
    with pytest.raises(PersonNotMapped):
        map_claims(provided, MAPPING)


def test_clearance_is_lowered_to_what_the_network_lets_the_organization_say() -> None:
    assert within_caps(PersonClaims("staff", "researcher", 3), Caps()).clearance == 1


@pytest.mark.parametrize("claims", [PersonClaims("member", "researcher", 0), PersonClaims("staff", "guest", 0)])
def test_an_affiliation_or_role_beyond_the_caps_is_refused(claims: PersonClaims) -> None:
    with pytest.raises(ClaimNotAssertable):
        within_caps(claims, Caps())


def test_empty_caps_let_nothing_be_said() -> None:
    with pytest.raises(ClaimNotAssertable):
        within_caps(PersonClaims("staff", "researcher", 0), Caps(affiliations=frozenset()))


def test_a_pseudonym_is_stable_and_says_nothing_across_networks_people_and_homes() -> None:
    key, other_key = bytes(32), bytes([1]) * 32
    names = {
        pseudonym(key, "net-a", "person-1"),
        pseudonym(key, "net-b", "person-1"),
        pseudonym(key, "net-a", "person-2"),
        pseudonym(other_key, "net-a", "person-1"),
    }
    assert len(names) == 4
    assert pseudonym(key, "net-a", "person-1") in names
    assert all("person" not in name and len(name) == 43 for name in names)


def test_a_short_home_key_is_a_bug() -> None:
    with pytest.raises(RuntimeError):
        pseudonym(bytes(31), "net-a", "person-1")


def test_a_home_key_is_written_once_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "home.key"
    save_home_key(path, bytes(range(32)))
    assert load_home_key(path) == bytes(range(32))
    with pytest.raises(HomeKeyUnusable):
        save_home_key(path, bytes(32))


@pytest.mark.parametrize(("content", "mode"), [(bytes(32), 0o640), (bytes(31), 0o600), (bytes(33), 0o600)])
def test_a_home_key_that_others_read_or_that_is_cut_is_refused(tmp_path: Path, content: bytes, mode: int) -> None:
    path = tmp_path / "home.key"
    path.write_bytes(content)
    path.chmod(mode)
    with pytest.raises(HomeKeyUnusable):
        load_home_key(path)


def test_a_missing_home_key_is_never_made_in_passing(tmp_path: Path) -> None:
    with pytest.raises(HomeKeyUnusable):
        load_home_key(tmp_path / "home.key")
    assert not (tmp_path / "home.key").exists()


def changed(path: str, value: Json) -> JsonObject:
    settings = home_settings_json()
    target = settings
    *parents, last = path.split(".")
    for name in parents:
        inner = target[name]
        assert isinstance(inner, dict)
        target = inner
    target[last] = value
    return settings


@pytest.mark.parametrize(
    ("path", "value", "setting"),
    [
        ("base_url", "http://home.alma.example", "home.base_url"),
        ("base_url", "https://home.alma.example/", "home.base_url"),
        ("provider.issuer", "https://idp.example?x=1", "home.provider.issuer"),
        ("provider.scope", "profile", "home.provider.scope"),
        ("provider.more", 1, "home.provider.more"),
        ("session_idle_s", 59, "home.session_idle_s"),
        ("session_idle_s", "600", "home.session_idle_s"),
        ("question_deadline_ms", 60_001, "home.question_deadline_ms"),
        ("claims.clearance.rules", [{"is": "x", "becomes": "secret"}], "home.claims.clearance"),
        ("claims.role.rules", [{"is": "x"}], "home.claims.role.rules[0].becomes"),
        ("unknown", 1, "home.unknown"),
    ],
)
def test_a_wrong_setting_is_named(path: str, value: Json, setting: str) -> None:
    with pytest.raises(HomeSettingsInvalid) as refused:
        parse_home_settings(changed(path, value))
    assert refused.value.fields["setting"] == setting


def test_good_settings_are_read() -> None:
    settings = parse_home_settings(home_settings_json())
    assert settings.redirect_uri == "https://home.alma.example/login/callback"
    assert settings.coordinators == ("relay-one",)


@pytest.mark.parametrize(
    ("url", "is_good"),
    [
        ("https://idp.example", True),
        ("http://127.0.0.1:8080", True),
        ("http://[::1]:8080", True),
        ("http://idp.example", False),
        ("https://user@idp.example", False),
        ("https://idp.example:x", False),
        ("ftp://127.0.0.1", False),
        ("//idp.example", False),
    ],
)
def test_only_https_and_loopback_are_trustworthy(url: str, is_good: bool) -> None:
    assert is_trustworthy_url(url) is is_good
