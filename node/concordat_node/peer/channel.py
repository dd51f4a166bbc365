"""Sending one signed message to another organization's node."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from concordat_trust.bundle.trusted import TrustedBundle
from concordat_trust.canonical import JsonObject, parse_object
from concordat_trust.directory import require_standing
from concordat_trust.encoding import b64u
from concordat_trust.errors import PeerFailure, RefusedDocument
from concordat_trust.ids import OrgId
from concordat_trust.jose import Signer
from concordat_trust.patterns import CODE
from concordat_trust.peer_message import CONTENT_TYPE, PATH, PeerKind, mint_peer_message
from concordat_trust.request_signature import SignedMessage, authority_of, sign_request
from concordat_trust.shape import Shape
from concordat_trust.wire.transport import PeerAnswerInvalid, PeerUnreachable, Transport, WireRequest

DEADLINE_S: Final = 10.0
ANSWER_BYTES_MAX = 65_536
ID_BYTES = 16


class PeerRefusedMessage(PeerFailure):
    code = "peer_refused_message"
    sentence = "{organization} refused a message: {reason}."
    hint = "Its code says why; compare clocks and versions of the trust bundle on both sides."


@dataclass(frozen=True, slots=True)
class PeerChannel:
    """Signs and sends messages of one organization; `key` is its request key."""

    organization: OrgId
    key: Signer
    transport: Transport
    clock: Callable[[], int]
    entropy: Callable[[int], bytes]

    async def send(self, to: OrgId, kind: PeerKind, body: bytes, *, bundle: TrustedBundle) -> JsonObject:
        """Return the data of the other organization's answer.

        Raises: PeerFailure leaves, PeerRefusedMessage among them; MemberUnknown, OrganizationSuspended for either side.
        """
        for party in (self.organization, to):
            require_standing(bundle, party)
        endpoint = bundle.member(to).endpoint
        if not endpoint:
            raise PeerUnreachable(endpoint=to, sent=False)
        request = self._signed(to, kind, body, endpoint, bundle.network.id)
        response = await self.transport.exchange(endpoint, request, deadline_s=DEADLINE_S, bytes_max=ANSWER_BYTES_MAX)
        try:
            shape = Shape(parse_object(response.body, bytes_max=ANSWER_BYTES_MAX), "answer")
            if response.status == 200:
                return shape.raw_object("data")
            (first,) = shape.objects("errors", count_max=1)
            reason = first.text("message", length_max=64)
        except (RefusedDocument, ValueError) as error:
            raise PeerAnswerInvalid(endpoint=endpoint) from error
        if not CODE.fullmatch(reason):
            raise PeerAnswerInvalid(endpoint=endpoint)
        raise PeerRefusedMessage(organization=to, reason=reason)

    def _signed(self, to: OrgId, kind: PeerKind, body: bytes, endpoint: str, network: str) -> WireRequest:
        now = self.clock()
        token = mint_peer_message(
            key=self.key,
            sender=self.organization,
            to=to,
            network=network,
            kind=kind,
            body=body,
            message_id=b64u(self.entropy(ID_BYTES)),
            now=now,
        )
        message = SignedMessage(
            method="POST",
            authority=authority_of(endpoint),
            path=PATH,
            content_type=CONTENT_TYPE,
            authorization=f"Bearer {token}",
            body=body,
        )
        headers = sign_request(message, key=self.key, created=now, nonce=b64u(self.entropy(ID_BYTES)))
        return WireRequest("POST", PATH, headers, body)
