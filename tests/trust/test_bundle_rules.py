"""The numbered rules: each has one code, one place in the table, and one bundle that breaks it and nothing else."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from types import ModuleType

import pytest

from concordat_trust.bundle import (
    BundleMemory,
    TrustedBundle,
    errors,
    files,
    members,
    memory,
    metadata,
    policy,
    statement,
    verify,
)
from concordat_trust.bundle.metadata import DAY_S
from concordat_trust.bundle.rules import RULES, Rule, judge
from concordat_trust.canonical import JsonObject
from concordat_trust.errors import RefusedDocument
from concordat_trust.ids import OrgId
from tests.factories.network import NOW, make_network
from tests.factories.repository import Repository, expires
from tests.factories.visas import metadata as visa_metadata
from tests.trust.bundle_attacks import ATTACKS
from tests.trust.test_bundle_members import NORTH, VITALIS, inner, listed, node, republish

VERIFIER: tuple[ModuleType, ...] = (files, members, memory, metadata, policy, statement, verify)
TRANSLATORS = {"_claims", "_statement", "verify_statement"}
"""They give the member's code to what a check shared by several roles or tokens refused."""
READERS = {"_keys", "refuse_below_threshold", "verify_target"}
"""They walk through a document and also refuse its form, or an absent part of it."""


def constructed() -> dict[str, set[str]]:
    """Return function → the refusals that it makes, over the modules of the pure verifier."""
    found: dict[str, set[str]] = {}
    for module in VERIFIER:
        for function in ast.walk(ast.parse(inspect.getsource(module))):
            if isinstance(function, ast.FunctionDef):
                names = {n.id for n in ast.walk(function) if isinstance(n, ast.Name)} | {
                    n.func.id for n in ast.walk(function) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
                }
                raised = {n for n in names if n.startswith(("Bundle", "Statement")) and _is_refusal(n)}
                found[function.name] = raised - _caught(function)
    return found


def _is_refusal(name: str) -> bool:
    leaf = getattr(errors, name, None)
    return isinstance(leaf, type) and issubclass(leaf, RefusedDocument) and hasattr(leaf, "code")


def _caught(function: ast.FunctionDef) -> set[str]:
    handlers = (h.type for h in ast.walk(function) if isinstance(h, ast.ExceptHandler) and h.type is not None)
    return {n.id for handler in handlers for n in ast.walk(handler) if isinstance(n, ast.Name)}


def test_the_numbers_run_without_a_gap() -> None:
    assert [rule.number for rule in RULES] == [f"BR-{n:02}" for n in range(1, len(RULES) + 1)]


def test_one_rule_has_one_code_and_one_code_has_one_rule() -> None:
    made = {name for names in constructed().values() for name in names}
    # A new refusal of the verifier needs a line in rules.RULES, and one in BREAKS below.
    assert made == {rule.error.__name__ for rule in RULES}
    assert len({rule.code for rule in RULES}) == len(RULES)


def test_a_check_gives_one_code() -> None:
    many = {function for function, names in constructed().items() if len(names) > 1}
    assert many == TRANSLATORS | READERS


def by_attack(name: str) -> Callable[[], tuple[Repository, int]]:
    attack = next(a for a in ATTACKS if a.name == name)

    def broken() -> tuple[Repository, int]:
        repo = Repository()
        attack.break_it(repo)
        return repo, attack.at

    return broken


def emptied_list() -> tuple[Repository, int]:
    repo = Repository()
    repo.publish_suspended({}, 2)
    repo.renew(NOW + 1)
    return repo, NOW + 1


def shared_endpoint() -> tuple[Repository, int]:
    return republish(lambda c: node(c).update(endpoint="https://north-hospital.example"), member=VITALIS), NOW


def unproven_key() -> tuple[Repository, int]:
    theirs = listed(Repository(), NORTH, "request")
    return republish(lambda c: _keys(c).update(request=theirs), member=VITALIS), NOW


def shared_key() -> tuple[Repository, int]:
    own = listed(Repository(), VITALIS, "request")
    return republish(lambda c: _keys(c).update(request=own + own), member=VITALIS), NOW


def expired_role() -> tuple[Repository, int]:
    repo = Repository()
    repo.edit("1.vitalis.json", expires(NOW), signers=[repo.entity(VITALIS)])
    return repo, NOW


def long_role() -> tuple[Repository, int]:
    repo = Repository()
    repo.edit("1.vitalis.json", expires(NOW + 121 * DAY_S), signers=[repo.entity(VITALIS)])
    return repo, NOW


def other_kind() -> tuple[Repository, int]:
    return republish(lambda c: inner(c, "metadata").update(concordat_coordinator={}), member=VITALIS), NOW


def shared_visa_issuer() -> tuple[Repository, int]:
    north = visa_metadata()[NORTH]
    return Repository(make_network(visa_issuers={NORTH: north, VITALIS: north})), NOW


def _keys(claims: JsonObject) -> JsonObject:
    return inner(node(claims), "keys")


BREAKS: dict[str, Callable[[], tuple[Repository, int]]] = {
    "BR-02": by_attack("key_of_another_type"),
    "BR-03": by_attack("next_root_that_one_keyholder_is_enough_for"),
    "BR-04": by_attack("next_root_with_a_keyholder_as_online_key"),
    "BR-05": by_attack("timestamp_signed_for_too_long"),
    "BR-06": by_attack("timestamp_that_hides_its_age"),
    "BR-07": emptied_list,
    "BR-08": by_attack("delegated_role_without_a_member"),
    "BR-09": by_attack("suspended_role_that_needs_two"),
    "BR-10": shared_key,
    "BR-11": shared_endpoint,
    "BR-12": by_attack("one_key_for_two_members"),
    "BR-13": unproven_key,
    "BR-14": by_attack("root_signed_by_one_keyholder"),
    "BR-15": by_attack("targets_signed_by_one_of_three"),
    "BR-16": by_attack("byte_changed_in_targets"),
    "BR-17": by_attack("targets_of_another_version"),
    "BR-18": by_attack("frozen_without_the_online_key"),
    "BR-19": by_attack("mirror_withholds_a_member_role"),
    "BR-20": by_attack("timestamp_that_is_html"),
    "BR-21": lambda: (republish(lambda c: c.pop("jwks"), member=VITALIS), NOW),
    "BR-22": lambda: (republish(key=Repository().entity(NORTH), member=VITALIS), NOW),
    "BR-23": lambda: (republish(lambda c: c.update(sub=NORTH), member=VITALIS), NOW),
    "BR-24": other_kind,
    "BR-25": expired_role,
    "BR-26": lambda: (republish(lambda c: c.update(iat=NOW + 31), member=VITALIS), NOW),
    "BR-27": long_role,
    "BR-28": lambda: (republish(lambda c: node(c).update(endpoint="http://vitalis.example"), member=VITALIS), NOW),
    "BR-29": shared_visa_issuer,
}


def broken_by(rule: Rule) -> dict[str, tuple[str, ...]]:
    """Return the numbers of the rules that the bundle made for `rule` breaks, and what broke them."""
    if rule.number == "BR-01":
        repo, at, fingerprint = Repository(), NOW, "0" * 64
    else:
        repo, at = BREAKS[rule.number]()
        fingerprint = repo.root_sha256
    before = Repository()
    before.publish_suspended({NORTH: 1}, 1)
    seen = before.verify().memory if rule.number == "BR-07" else None
    outcome = _outcome(repo, at, fingerprint, seen)
    told = judge(outcome)
    if isinstance(outcome, TrustedBundle):
        assert set(outcome.unusable) == ({OrgId("vitalis")} if rule.closes == "the member" else set())
    assert isinstance(outcome, RefusedDocument) == (rule.closes == "the bundle")
    others = "undecided" if isinstance(outcome, RefusedDocument) else "held"
    assert {j.state for j in told} == {"broken", others}
    return {j.rule.number: j.by for j in told if j.state == "broken"}


def _outcome(repo: Repository, at: int, fingerprint: str, seen: BundleMemory | None) -> TrustedBundle | RefusedDocument:
    try:
        return verify.verify_bundle(repo.files, root_sha256=fingerprint, at=at, memory=seen)
    except RefusedDocument as error:
        return error


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.number)
def test_a_bundle_that_breaks_one_rule_is_told_by_its_number(rule: Rule) -> None:
    broken = broken_by(rule)
    assert set(broken) == {rule.number}
    assert len(broken[rule.number]) == 1


def test_an_honest_bundle_holds_every_rule() -> None:
    assert {judgement.state for judgement in judge(Repository().verify())} == {"held"}
