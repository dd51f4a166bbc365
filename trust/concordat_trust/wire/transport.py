"""What a request and an answer between two parties are, without any HTTP library.

A `Transport` carries one request to one party within one absolute deadline. Implementations: over sockets (in the node
and in the coordinator, each with its own client), in memory (the simulator), and later dial-out for a node that accepts
no inbound connection.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from concordat_trust.errors import PeerFailure


@dataclass(frozen=True, slots=True)
class WireRequest:
    """One request; header names in lower case, each at most once."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class WireResponse:
    """One answer, its body already bounded by the transport."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport(Protocol):
    """Carries a request to the party at `endpoint` (scheme, host and port of its entity statement)."""

    async def exchange(self, endpoint: str, request: WireRequest, *, deadline_s: float, bytes_max: int) -> WireResponse:
        """Return the whole answer within `deadline_s` seconds from now.

        Raises: PeerUnreachable (`sent` False when the connection failed before a byte was sent), PeerTimeout,
        PeerOverloaded, PeerAnswerTooLarge, PeerAnswerInvalid.
        """
        ...


Feed = Callable[[bytes], bool]
"""Takes the next piece of an answer; True when it needs no more."""


class StreamingTransport(Transport, Protocol):
    """A transport that can also carry an answer piece by piece."""

    async def stream(
        self, endpoint: str, request: WireRequest, *, deadline_s: float, bytes_max: int, feed: Feed
    ) -> WireResponse:
        """Return the answer as `exchange` does, but feed an event stream (status 200) while it arrives.

        Of such an answer only the head is returned. Nothing is read any more once `feed` returned True or raised; the
        deadline and `bytes_max` hold for the whole of it. Raises: as `exchange`, and what `feed` raises.
        """
        ...


class PeerUnreachable(PeerFailure):
    code = "peer_unreachable"
    sentence = "No connection to {endpoint}."
    hint = "Ask the organization whether its service is running; the answer is complete without it only in name."


class PeerTimeout(PeerFailure):
    code = "peer_timeout"
    sentence = "{endpoint} did not answer within the deadline."
    hint = "Ask again with a longer deadline, or later."


class PeerOverloaded(PeerFailure):
    code = "peer_overloaded"
    sentence = "{endpoint} refused for load."
    hint = "Ask again later."


class PeerAnswerTooLarge(PeerFailure):
    code = "peer_answer_too_large"
    sentence = "The answer of {endpoint} exceeds {bytes_max} bytes."
    hint = "The node sends more than the protocol allows; its operator must look at it."


class PeerAnswerInvalid(PeerFailure):
    code = "peer_answer_invalid"
    sentence = "The answer of {endpoint} is not an answer of this protocol."
    hint = "The node, or something in front of it, answers with something else; its operator must look at it."
