"""Hearing of the uses of own tokens: each is compared with what was minted here; findings go to the operator."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from concordat_node.access.decisions import RunBlocking
from concordat_node.peer.store import PeerStore
from concordat_trust.canonical import JsonObject
from concordat_trust.peer_message import PeerMessage
from concordat_trust.token_use import MintedToken, parse_token_uses

_log = logging.getLogger("concordat.node.tokens")


@dataclass(frozen=True, slots=True)
class TokenUses:
    """The issuer's side: remembers what is minted, hears what is used."""

    store: PeerStore
    run_blocking: RunBlocking
    clock: Callable[[], int]

    async def note_minted(self, token_id: str, minted: MintedToken, at: int) -> None:
        """Remember a token. Raises: the storage failures; then it must not be sent."""
        await self.run_blocking(partial(self.store.note_minted, token_id, minted, at=at))

    async def receive(self, message: PeerMessage, body: bytes) -> JsonObject:
        """Take a report of uses; the answer says nothing. Raises: TokenUsesMalformed, PeerReplayed, as above."""
        uses = parse_token_uses(body)
        take = partial(self.store.receive_uses, message, uses, now=self.clock())
        for finding in await self.run_blocking(take):
            _log.error("%s: %s", finding.code, finding.message)
        return {}
