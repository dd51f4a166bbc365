"""The door for other organizations: who may speak, once, within limits; and what an issuer hears of its tokens."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise

import pytest

from concordat_node.ledger.outbox import KEPT_S, OUTBOX_MAX, USE, UseOutbox
from concordat_node.peer import store as peer_store
from concordat_node.peer.door import MESSAGES_MAX, PeerDoor
from concordat_node.peer.reporting import PAUSE_MAX_S, PAUSE_S, Patience, UseReporter
from concordat_node.peer.store import (
    FINDING_STAYS_S,
    FINDINGS_PER_ORGANIZATION_MAX,
    MINTED_KEPT_S,
    StoredFinding,
)
from concordat_trust.bundle import TrustedBundle
from concordat_trust.canonical import JsonObject
from concordat_trust.ids import OrgId
from concordat_trust.peer_message import BODY_BYTES_MAX, PeerMessage
from concordat_trust.query_token import mint_query_token
from concordat_trust.token_use import USES_MAX, MintedToken, TokenUse, token_digest, token_uses_body
from concordat_trust.wire.transport import WireRequest, WireResponse
from tests.factories.network import NOW, TestNetwork, make_network
from tests.factories.node import (
    HOME,
    NORTH,
    RELAY,
    SEALING_KEY,
    Asking,
    Clock,
    Entropy,
    TestNode,
    answer_of,
    asking,
    make_asset,
    make_node,
    make_question,
    refused_code,
)
from tests.factories.peer import Peer, Post, make_peer
from tests.factories.suspension import after_suspending
from tests.factories.tokens import fresh_id

VITALIS = OrgId.parse("vitalis")
EMPTY = b'{"data":{}}'


@cache
def network() -> TestNetwork:
    return make_network()


@dataclass
class World:
    """North answers questions of Alma's people, and reports the uses of Alma's tokens to Alma."""

    clock: Clock
    post: Post
    node: TestNode
    north: Peer
    home: Peer
    reporter: UseReporter
    bundle: TrustedBundle

    def asking(self, label: str = "token") -> Asking:
        question = make_question(network())
        return asking(network(), question, token_id=fresh_id(label), now=self.clock.now)

    async def mint(self, ask: Asking, *, audience: OrgId = NORTH) -> None:
        """Let home remember the token of `ask`, as it does before it sends one."""
        minted = MintedToken(token_digest(ask.token()), frozenset({audience}))
        await self.home.uses.note_minted(ask.token_id, minted, self.clock.now)

    async def answered(self, ask: Asking) -> None:
        assert answer_of(await self.node.handle(ask.request()))["attestation"]

    def waiting(self) -> int:
        return len(UseOutbox(self.node.ledger.database).due(HOME).uses)

    def found(self) -> list[tuple[str, str, str]]:
        return [(finding.code, finding.organization, finding.token_id) for finding in self.home.store.findings()]


@pytest.fixture
def world() -> World:
    clock, post = Clock(), Post()
    node = make_node(network(), NORTH, [make_asset("sepsis")], clock=clock)
    north, home = (make_peer(network(), org, post, clock=clock) for org in (NORTH, HOME))
    made = World(clock, post, node, north, home, None, network().bundle)  # type: ignore[arg-type]  # set below
    made.reporter = north.reporter(node.ledger.database, lambda: made.bundle)
    return made


async def test_an_honest_use_is_reported_and_nothing_is_found(world: World) -> None:
    ask = world.asking()
    await world.mint(ask)
    await world.answered(ask)
    assert world.waiting() == 1
    await world.reporter.report()
    assert (world.waiting(), world.found()) == (0, [])


async def test_a_token_made_with_a_stolen_key_is_noticed(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """The thief holds Alma's query-token key: its token is good everywhere, and Alma has never seen it."""
    await world.answered(world.asking("forged"))
    with caplog.at_level(logging.ERROR):
        await world.reporter.report()
    assert world.found() == [("token_never_minted", NORTH, fresh_id("forged"))]
    (record,) = [r for r in caplog.records if r.name == "concordat.node.tokens"]
    assert record.getMessage().startswith("token_never_minted: north-hospital answered a token")


async def test_a_token_under_an_id_that_home_gave_to_another_is_noticed(world: World) -> None:
    ask = world.asking()
    await world.mint(ask)
    await world.answered(replace(ask, now=NOW + 1))
    await world.reporter.report()
    assert world.found() == [("token_minted_differently", NORTH, ask.token_id)]


async def test_a_token_that_was_minted_for_others_is_noticed(world: World) -> None:
    ask = world.asking()
    await world.mint(ask, audience=VITALIS)
    await world.answered(ask)
    await world.reporter.report()
    assert world.found() == [("token_minted_for_others", NORTH, ask.token_id)]


async def test_a_refused_question_is_reported_too_and_an_unanswered_one_is_not(world: World) -> None:
    denied = Asking(network(), b"{", token_id=fresh_id("malformed"), now=world.clock.now)
    await world.answered(denied)
    await world.node.handle(denied.request())  # replayed: nothing is logged
    assert [use.status for use in UseOutbox(world.node.ledger.database).due(HOME).uses] == ["UNSUPPORTED"]


async def test_what_could_not_be_sent_waits_longer_each_time(world: World) -> None:
    world.post.is_cut = True
    await world.answered(world.asking())
    tried_at = []
    for _ in range(3_000 // PAUSE_S):
        before = len(world.post.carried)
        await world.reporter.report()
        if len(world.post.carried) > before:
            tried_at.append(world.clock.now - NOW)
        world.clock.now += PAUSE_S
    pauses = [later - earlier for earlier, later in pairwise(tried_at)]
    assert pauses == [PAUSE_S << failures for failures in range(1, len(pauses) + 1)]
    assert len(pauses) == 8


@pytest.mark.parametrize("failures", [9, 10, 30, 1_000])
def test_it_waits_an_hour_at_most(failures: int) -> None:
    patience = Patience(failures)
    patience.failed(NOW)
    assert patience.until - NOW == PAUSE_MAX_S


async def test_after_a_day_a_use_is_given_up_and_a_second_before_it_is_not(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.post.is_cut = True
    await world.answered(world.asking())
    world.clock.now += KEPT_S
    await world.reporter.report()
    assert world.waiting() == 1
    world.clock.now += 1
    await world.reporter.report()
    assert world.waiting() == 0
    assert "token_use_given_up: 1 uses" in caplog.text


async def test_a_report_whose_answer_is_lost_is_sent_again_and_counts_once(world: World) -> None:
    await world.answered(world.asking("forged"))
    world.post.loses_answers = True
    await world.reporter.report()
    world.post.loses_answers = False
    world.clock.now += 2 * PAUSE_S
    await world.reporter.report()
    assert (len(world.post.carried), world.waiting(), len(world.found())) == (2, 0, 1)


async def test_more_uses_than_a_message_holds_go_in_several(world: World) -> None:
    for number in range(USES_MAX + 1):
        await world.answered(world.asking(f"token {number}"))
    await world.reporter.report()
    assert (len(world.post.carried), world.waiting()) == (2, 0)
    assert len(world.found()) == USES_MAX + 1


async def test_nothing_is_sent_while_the_issuer_is_suspended(world: World) -> None:
    await world.answered(world.asking())
    world.bundle = after_suspending(network(), HOME)
    await world.reporter.report()
    assert (world.post.carried, world.waiting()) == ([], 1)


def test_of_more_uses_than_the_outbox_holds_the_oldest_go_first(world: World) -> None:
    database = world.node.ledger.database
    row = {"issuer": HOME, "token_id": fresh_id("old"), "token_sha256": "t" * 43, "status": "OK", "at": NOW}
    with database.writing() as connection:
        connection.execute(USE.insert(), [{**row, "number": 1}, {**row, "number": OUTBOX_MAX}])
    asyncio.run(world.answered(world.asking()))
    assert list(UseOutbox(database).due(HOME).numbers) == [OUTBOX_MAX, OUTBOX_MAX + 1]


# The door.


async def sent(world: World, *, sender: OrgId = NORTH, body: bytes | None = None) -> WireRequest:
    """Return a good message to Alma that did not arrive."""
    peer = make_peer(network(), sender, Post(), clock=world.clock)
    peer.channel.transport.is_cut = True  # type: ignore[attr-defined]  # the Post of this factory
    use = TokenUse(fresh_id("forged"), "t" * 43, "OK", world.clock.now)
    with pytest.raises(Exception, match="No connection"):
        await peer.channel.send(HOME, "token_uses", body or token_uses_body([use]), bundle=network().bundle)
    ((_, request),) = peer.channel.transport.carried  # type: ignore[attr-defined]
    assert isinstance(request, WireRequest)
    return request


async def test_a_message_is_taken_once(world: World) -> None:
    request = await sent(world)
    assert (await world.home.door.handle(request)).body == EMPTY
    assert refused_code(await world.home.door.handle(request)) == "peer_replayed"
    assert len(world.found()) == 1


async def test_it_stays_taken_as_long_as_it_could_be_believed(world: World) -> None:
    request = await sent(world)
    await world.home.door.handle(request)
    for _ in range(120):
        world.clock.now += 1
        await world.home.uses.receive(_message(world, f"other {world.clock.now}"), token_uses_body([_use(world)]))
        assert refused_code(await world.home.door.handle(request)) != "node_failed"
        assert len(world.found()) == 1


def _use(world: World) -> TokenUse:
    return TokenUse(fresh_id("forged"), "t" * 43, "OK", world.clock.now)


def _message(world: World, label: str) -> PeerMessage:
    now = world.clock.now
    return PeerMessage(NORTH, fresh_id(label), "token_uses", now, now + 60)


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("content_digest_mismatch", lambda r: replace(r, body=r.body + b" ")),
        ("body_too_large", lambda r: replace(r, body=b" " * (BODY_BYTES_MAX + 1))),
        ("request_signature_invalid", lambda r: replace(r, path="/v1/peers")),
        ("request_signature_invalid", lambda r: replace(r, headers={**r.headers, "authorization": "Bearer x"})),
        ("request_signature_invalid", lambda r: replace(r, headers={**r.headers, "signature": ""})),
    ],
)
async def test_a_changed_request_is_refused(
    world: World, code: str, change: Callable[[WireRequest], WireRequest]
) -> None:
    assert refused_code(await world.home.door.handle(change(await sent(world)))) == code
    assert world.found() == []


async def test_a_message_for_another_node_is_refused(world: World) -> None:
    elsewhere = make_peer(network(), VITALIS, world.post, clock=world.clock)
    assert refused_code(await elsewhere.door.handle(await sent(world))) == "request_signature_invalid"


async def test_a_query_token_opens_no_door_here(world: World) -> None:
    token = mint_query_token(
        key=network().keys[NORTH]["query_token"],
        issuer=NORTH,
        subject="p-1",
        network=network().bundle.network.id,
        question=b"{}",
        parts={HOME: b"{}"},
        claims=world.asking().claims,
        presenter=network().keys[RELAY]["request"].key_id,
        enc=SEALING_KEY.public,
        token_id=fresh_id("token"),
        now=NOW,
    )
    request = replace(Asking(network(), b"{}", to=HOME).signed(token, b"{}"), path="/v1/peer")
    assert refused_code(await world.home.door.handle(request)) == "request_signature_invalid"


async def test_a_message_of_another_form_is_refused_and_used_up_by_nothing(world: World) -> None:
    request = await sent(world, body=b'{"uses":[]}')
    assert refused_code(await world.home.door.handle(request)) == "token_uses_malformed"


async def test_without_a_bundle_nothing_is_taken(world: World) -> None:
    home = make_peer(network(), HOME, Post(), clock=world.clock, bundle=lambda: None)
    assert refused_code(await home.door.handle(await sent(world))) == "bundle_stale"


async def test_a_suspended_sender_is_refused(world: World) -> None:
    bundle = after_suspending(network(), NORTH)
    home = make_peer(network(), HOME, Post(), clock=world.clock, bundle=lambda: bundle)
    assert refused_code(await home.door.handle(await sent(world))) == "organization_suspended"


async def test_a_failure_of_the_own_disk_is_not_told(world: World) -> None:
    request = await sent(world)
    world.home.store._database.writer.dispose()  # an empty database in memory: the tables are gone
    assert refused_code(await world.home.door.handle(request)) == "node_failed"


async def test_more_messages_at_once_than_the_limit_are_refused_as_overload(world: World) -> None:
    gate = asyncio.Event()

    async def slow(message: PeerMessage, body: bytes) -> JsonObject:
        await gate.wait()
        return {}

    door = PeerDoor(
        organization=HOME, bundle=lambda: network().bundle, handlers={"token_uses": slow}, clock=world.clock
    )
    request = await sent(world)
    running = [asyncio.create_task(door.handle(request)) for _ in range(MESSAGES_MAX)]
    await asyncio.sleep(0)
    assert refused_code(await door.handle(request)) == "node_overloaded"
    gate.set()
    assert {response.status for response in await asyncio.gather(*running)} == {200}


def test_every_kind_of_message_has_a_handler(world: World) -> None:
    with pytest.raises(RuntimeError):
        PeerDoor(organization=HOME, bundle=lambda: None, handlers={}, clock=world.clock)


# What the issuer keeps.


async def test_findings_of_one_organization_are_kept_up_to_a_number(world: World) -> None:
    for batch in range(3):
        uses = [TokenUse(fresh_id(f"forged {batch} {number}"), "t" * 43, "OK", NOW) for number in range(USES_MAX)]
        await world.home.uses.receive(_message(world, f"message {batch}"), token_uses_body(uses))
    assert len(world.found()) == FINDINGS_PER_ORGANIZATION_MAX
    other = replace(_message(world, "of another"), sender=VITALIS)
    await world.home.uses.receive(other, token_uses_body([_use(world)]))
    assert len(world.found()) == FINDINGS_PER_ORGANIZATION_MAX + 1


async def test_a_full_list_of_findings_takes_new_ones_a_day_later(world: World) -> None:
    async def report(name: str, count: int) -> None:
        uses = [TokenUse(fresh_id(f"{name} {number}"), "t" * 43, "OK", world.clock.now) for number in range(count)]
        await world.home.uses.receive(_message(world, name), token_uses_body(uses))

    for batch in ("first", "second"):
        await report(batch, USES_MAX)
    world.clock.now += FINDING_STAYS_S - 1
    await report("too early", 1)
    kept = {token_id for _, _, token_id in world.found()}
    assert kept == {fresh_id(f"{name} {number}") for name in ("first", "second") for number in range(USES_MAX)}
    world.clock.now += 1
    await report("a day later", USES_MAX)
    await report("too many", USES_MAX)
    await report("far too many", 1)
    names = [("a day later", USES_MAX), ("too many", USES_MAX)]
    kept = {token_id for _, _, token_id in world.found()}
    assert kept == {fresh_id(f"{name} {number}") for name, count in names for number in range(count)}


async def test_a_minted_token_is_remembered_for_as_long_as_its_uses_are_looked_at(world: World) -> None:
    ask = world.asking()
    await world.mint(ask)
    use = TokenUse(ask.token_id, token_digest(ask.token()), "OK", NOW)
    world.clock.now += MINTED_KEPT_S
    await world.mint(world.asking("later"))  # forgets what is too old, and this is not
    await world.home.uses.receive(_message(world, "late"), token_uses_body([use]))
    assert world.found() == []
    world.clock.now += 1
    await world.mint(world.asking("later still"))
    await world.home.uses.receive(_message(world, "too late"), token_uses_body([use]))
    assert world.found() == []  # older than what is remembered says nothing


def test_a_finding_is_one_line_for_an_operator() -> None:
    finding = StoredFinding("token_never_minted", NORTH, "t" * 22, "OK", NOW, NOW + 5)
    assert finding.line().startswith("token_never_minted  north-hospital  used 2027-01-15")
    assert peer_store.MINTED_KEPT_S > KEPT_S


def responses_are_equal(one: WireResponse, other: WireResponse) -> bool:
    return (one.status, dict(one.headers), one.body) == (other.status, dict(other.headers), other.body)


async def test_the_answer_to_a_report_says_nothing_of_what_was_minted(world: World) -> None:
    ask = world.asking("known")
    await world.mint(ask)
    answers = []
    for use in (TokenUse(ask.token_id, token_digest(ask.token()), "OK", NOW), _use(world)):
        answers.append(await world.home.door.handle(await _reporting(world, use)))
    assert responses_are_equal(*answers)
    assert len(world.found()) == 1


async def _reporting(world: World, use: TokenUse) -> WireRequest:
    post = Post()
    peer = make_peer(network(), NORTH, post, clock=world.clock)
    peer = replace(peer, channel=replace(peer.channel, entropy=Entropy(use.token_id)))
    post.doors.clear()
    with pytest.raises(Exception, match="No connection"):
        await peer.channel.send(HOME, "token_uses", token_uses_body([use]), bundle=network().bundle)
    return post.carried[0][1]
