"""docs/identity.md: its settings and its mapping are read by the node's own readers, and its commands exist."""

from __future__ import annotations

import json
import re

from concordat_node.home.claims import map_claims, read_claims_mapping
from concordat_node.home.exchange import GRANT_TYPE, SUBJECT_TOKEN_AGE_MAX_S, SUBJECT_TYPES
from concordat_node.home.settings import parse_home_settings
from tests.documents.reader import ROOT
from tests.documents.test_documents import parse

PAGE = (ROOT / "docs" / "identity.md").read_text("utf-8")
PROVIDER, MAPPING, ISSUER, EXCHANGE = (json.loads(text) for text in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL))


def test_the_settings_and_the_mapping_are_valid() -> None:
    mapping = json.dumps(MAPPING).encode()
    settings = parse_home_settings({**PROVIDER, **EXCHANGE}, read={"claims.json": mapping}.__getitem__)
    assert settings.exchange_audience == "concordat-scripts"
    assert settings.claims == read_claims_mapping(mapping)


def test_the_sample_becomes_what_the_page_says() -> None:
    claims = {
        "eduperson_affiliation": ["employee"],
        "realm_access": {"roles": ["researcher"]},
        "groups": ["cleared", "cancer", "general"],
    }
    mapped = map_claims(claims, read_claims_mapping(json.dumps(MAPPING).encode()))
    said = f"affiliation {mapped.affiliation}, role {mapped.role}, clearance controlled, purposes "
    assert said + f"{' '.join(mapped.purposes or ())}, registrar no" in PAGE
    assert mapped.clearance == 2


def test_the_issuer_has_the_fields_that_are_read() -> None:
    assert set(ISSUER) == {"issuer", "jwks", "subject_issuers"}


def test_the_exchange_is_the_one_that_is_understood() -> None:
    assert f"grant_type={GRANT_TYPE}" in PAGE
    assert f"subject_token_type={SUBJECT_TYPES[1]}" in PAGE
    assert f"{SUBJECT_TOKEN_AGE_MAX_S} seconds old" in PAGE


def test_the_commands_exist() -> None:
    lines = re.findall(r"(?:^    |`)concordat ((?:login|whoami|node doctor)[^`#\n]*)", PAGE, re.MULTILINE)
    assert len(lines) >= 6
    for line in lines:
        parse([word.replace("URL", "https://home.example") for word in line.split()])
