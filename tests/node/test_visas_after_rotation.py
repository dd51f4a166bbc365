"""Visas open with the attestation key that a node signs with now, also when it was exchanged without a restart."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Any

import pytest

from concordat_trust.canonical import JsonObject
from concordat_trust.encoding import sha256_b64u
from concordat_trust.ids import KeyId
from concordat_trust.jwk import SigningKey
from concordat_trust.node_sealing import node_sealing_key
from concordat_trust.question import Part
from concordat_trust.sealed_visas import CarriedVisas, VisasContext, seal_visas
from tests.factories.network import make_key, make_network
from tests.factories.node import ANALYST, NORTH, answer_of, asking, make_node, make_question
from tests.factories.visas import PERSON, make_visa, metadata


@dataclass
class Exchanged:
    """A signer whose key can be exchanged, as `ReloadingKey` does."""

    key: SigningKey

    @property
    def key_id(self) -> KeyId:
        return self.key.key_id

    @property
    def public_jwk(self) -> JsonObject:
        return self.key.public_jwk

    def sign(self, data: bytes) -> bytes:
        return self.key.sign(data)


async def test_what_is_sealed_to_the_key_in_use_opens_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "concordat.node.access")
    network = make_network(visa_issuers=metadata())
    old, new = network.keys[NORTH]["attestation"], make_key("the next attestation key")
    signer: Any = Exchanged(old)
    keys = {**network.keys, NORTH: {**network.keys[NORTH], "attestation": signer}}
    node, question = make_node(replace(network, keys=keys), NORTH), make_question(network)

    async def refused(name: str, sealed_to: SigningKey) -> list[str]:
        caplog.clear()
        context = VisasContext(NORTH, name, sha256_b64u(question.canonical()))
        visas = seal_visas(CarriedVisas(PERSON, (make_visa(),)), to=node_sealing_key(sealed_to).public, context=context)
        asked = asking(network, question, part=Part(visas=visas).canonical(), claims=ANALYST, token_id=name)
        answer_of(await node.handle(asked.request()))
        return [record.getMessage() for record in caplog.records]

    assert await refused("visa-question-token-0001", old) == []
    signer.key = new
    assert await refused("visa-question-token-0002", new) == []
    assert await refused("visa-question-token-0003", old) == ["visas of alma-university: seal_broken"]
