"""Every code that the baseline policy can give has words, and no words are left over."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import build_reference

from concordat_node.policy.engine import Grantor
from concordat_trust import policy_words

REGO = Path(build_reference.ROOT) / "policies" / "rego"
DISCLOSURE = (REGO / "disclosure" / "disclosure.rego").read_text("utf-8")
SCOPE = (REGO / "disclosure" / "scope.rego").read_text("utf-8")
_STATE = re.compile(r'(?:_state\(\w+\)|else) := "([a-z_]+)"')
_WORD = re.compile(r'"([a-z_]+)"')


def _states(kind: str) -> set[str]:
    source = (REGO / kind / f"{kind}.rego").read_text("utf-8")
    return set(_STATE.findall(source)) - {"usable"}


def _set(name: str) -> set[str]:
    return set(_WORD.findall(DISCLOSURE.partition(f"{name} := {{")[2].partition("}")[0]))


def test_every_missing_condition_has_words() -> None:
    graded = {f"{kind}_{state}" for kind in ("agreement", "approval") for state in _states(kind)}
    alone = set(re.findall(r'\{"([a-z_]+)" \|', DISCLOSURE))
    assert len(graded) == 10
    assert alone == {"modifier_review", "sign_in_old", "sign_in_weak"}
    assert set(policy_words.MISSING_WORDS) == graded | alone


def test_everybody_who_can_grant_has_words() -> None:
    assert set(policy_words.GRANTOR_WORDS) == set(get_args(Grantor))


def test_every_refusal_of_a_whole_question_has_words() -> None:
    assert set(policy_words.SCOPE_WORDS) == set(re.findall(r'"code": "([a-z_]+)"', SCOPE))


def test_every_ground_and_refusal_has_words() -> None:
    grounds = DISCLOSURE.partition("_grounds(r) :=")[2].partition("_grantor")[0]
    assert set(policy_words.GROUND_WORDS) == set(_WORD.findall(grounds))
    assert set(policy_words.REFUSAL_WORDS) == _set("_refusal_codes") | {"undecided"}


def test_every_snake_case_text_of_a_decision_is_a_code_with_words_or_a_field() -> None:
    fields = {"agreement_ids", "cohort_size", "relay_may_read", "trained_on", "valid_until", "who_can_grant"}
    known = fields | set(build_reference.obligations())
    for table in ("MISSING", "GRANTOR", "SCOPE", "GROUND", "REFUSAL"):
        known |= set(getattr(policy_words, f"{table}_WORDS"))
    sources = [path.read_text("utf-8") for path in (REGO / "disclosure").glob("*.rego") if "_test" not in path.name]
    assert {word for source in sources for word in _WORD.findall(source) if "_" in word.strip("_")} <= known


def test_an_unknown_code_stays_itself() -> None:
    assert policy_words.missing_words("overlay_code") == "overlay_code"
    assert policy_words.grantor_words("somebody") == "somebody"
