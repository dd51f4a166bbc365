"""Run every pure verifier once more, now watched: no file, socket, process or clock is touched.

Started by `test_pure_verifiers.py` in a process of its own, because an audit hook cannot be taken away again. The first
run imports what is imported late; the second is watched. A clock reading raises no audit event, so the profiler of
the interpreter looks at every call of a built-in function.
"""

from __future__ import annotations

import datetime
import json
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from types import FrameType

from concordat_trust.answer import verify_saved_answer
from concordat_trust.attestation import verify_attestation
from concordat_trust.bundle import verify_bundle
from concordat_trust.bundle.difference import differences
from concordat_trust.bundle.packing import pack, unpack
from concordat_trust.bundle.rules import judge
from concordat_trust.bundle.split_view import split_view_bytes, verify_split_view
from concordat_trust.delivery import verify_delivery
from concordat_trust.directory import request_keys
from concordat_trust.errors import ConcordatError
from concordat_trust.query_token import verify_query_token
from concordat_trust.receipt import verify_receipt
from concordat_trust.request_signature import sign_request, verify_request
from concordat_trust.sealing import SealContext, open_text, seal_text
from tests.factories import answers, tokens
from tests.factories.network import NOW
from tests.trust.test_bundle_attack_table import attestation_of, split

NETWORK = answers.demo_network()
SAVED = answers.make_saved()
SAVED_BYTES = SAVED.to_bytes()
_OURS, _THEIRS = split()
SPLIT, SPLIT_ROOT = split_view_bytes(attestation_of(_THEIRS), _OURS.verify()), _OURS.root_sha256
KEPT = SAVED.answers[answers.NORTH]
QUESTION_HASH = SAVED.question.hash()
PLACE = SealContext(answers.NORTH, answers.TOKEN_ID, QUESTION_HASH)
SEALED = seal_text(b'{"id":"x"}', to=answers.SEALING_KEY.public, context=PLACE)
DIRECTORY = tokens.make_directory()
TOKEN = tokens.make_query_token()
MESSAGE = tokens.make_message()
RELAY_KEY = tokens.signing_key(tokens.RELAY, "request")
HEADERS = sign_request(MESSAGE, key=RELAY_KEY, created=NOW, nonce=tokens.fresh_id("nonce"))


def _attestation() -> None:
    verify_attestation(KEPT.attestation, bundle=NETWORK.bundle, at=NOW)


def _bundle() -> None:
    verify_bundle(NETWORK.files, root_sha256=NETWORK.root_sha256, at=NOW)


def _archive() -> None:
    unpack(pack(NETWORK.bundle.files), bytes_max=10**7, file_bytes_max=10**6, files_max=100)


def _rules() -> None:
    judge(NETWORK.bundle)


def _difference() -> None:
    differences(NETWORK.bundle, NETWORK.bundle)


def _split_view() -> None:
    verify_split_view(SPLIT, root_sha256=SPLIT_ROOT)


def _delivery() -> None:
    verify_delivery(
        SAVED.delivery or "",
        bundle=NETWORK.bundle,
        coordinator=answers.RELAY,
        home=answers.HOME,
        token_id=answers.TOKEN_ID,
        question_hash=QUESTION_HASH,
        organizations=sorted(SAVED.parts),
        at=NOW,
    )


def _query_token() -> None:
    verify_query_token(
        TOKEN,
        me=tokens.NORTH,
        bundle=DIRECTORY,
        question=tokens.QUESTION,
        part=tokens.PARTS[tokens.NORTH],
        presenter=RELAY_KEY.key_id,
        now=NOW,
    )


def _receipt() -> None:
    attestation = verify_attestation(KEPT.attestation, bundle=NETWORK.bundle)
    verify_receipt(KEPT.receipt, attestation=attestation, bundle=NETWORK.bundle, asked_at=NOW)


def _request() -> None:
    verify_request(MESSAGE, HEADERS, resolve_key=request_keys(DIRECTORY), now=NOW)


def _refusals() -> None:
    for verify in (lambda: verify_bundle({}, root_sha256="0" * 64, at=NOW), lambda: _saved(SAVED_BYTES[:-1])):
        try:
            verify()
        except ConcordatError:
            continue
        raise RuntimeError("a bad document was believed")


def _saved(data: bytes = SAVED_BYTES) -> None:
    verify_saved_answer(data, bundle_at=lambda _: NETWORK.bundle)


def _sealed() -> None:
    open_text(SEALED, key=answers.SEALING_KEY, context=PLACE)


VERIFIERS: Mapping[str, Callable[[], None]] = {
    "archive of a bundle": _archive,
    "attestation": _attestation,
    "bundle": _bundle,
    "bundle rules": _rules,
    "difference of bundles": _difference,
    "delivery": _delivery,
    "query token": _query_token,
    "receipt": _receipt,
    "refusals": _refusals,
    "request signature": _request,
    "saved answer": _saved,
    "sealed answer": _sealed,
    "split view": _split_view,
}
CONTROLS: Mapping[str, Callable[[], object]] = {
    "a clock": time.time,
    "a date": lambda: datetime.datetime.now(tz=datetime.UTC),
    "a day": datetime.date.today,
    "a file": lambda: open(os.devnull, "rb").close(),
    "a monotonic clock": time.monotonic,
    "a process": lambda: subprocess.run(["true"], check=True),
    "a random number": random.random,
    "a socket": lambda: socket.socket().close(),
    "randomness": lambda: os.urandom(1),
    "the environment": lambda: os.putenv("CONCORDAT_TEST", "1"),
}
"""What the watch must notice, so that a silent one cannot pass for a clean verifier."""

# Events about Python objects; every other event is about the world outside the interpreter.
INNER_EVENTS = ("object.__", "sys._getframe", "code.__new__", "compile", "exec", "marshal.", "builtins.id", "gc.")
CLOCK_READINGS = ("now", "utcnow", "today")


class Watch:
    """Collects what is touched while it is armed."""

    def __init__(self) -> None:
        self.is_armed = False
        self.seen: list[str] = []
        sys.addaudithook(self._event)

    def of(self, run: Callable[[], object]) -> list[str]:
        """Return what `run` touches, each once, in order."""
        run()  # what is imported late is imported here
        self.seen, self.is_armed = [], True
        sys.setprofile(self._call)
        try:
            run()
        finally:
            sys.setprofile(None)
            self.is_armed = False
        return list(dict.fromkeys(self.seen))

    def _event(self, event: str, _: tuple[object, ...]) -> None:
        if self.is_armed and not event.startswith(INNER_EVENTS) and event != "sys.setprofile":
            self.seen.append(event)

    def _call(self, _: FrameType, event: str, called: object) -> None:
        if event != "c_call":
            return
        module, name = getattr(called, "__module__", None), str(getattr(called, "__name__", ""))
        owner = getattr(called, "__self__", None)
        is_date = isinstance(owner, type) and issubclass(owner, datetime.date)
        is_outside = module in ("time", "_socket") or (module == "posix" and name != "fspath")
        if is_outside or isinstance(owner, random.Random) or (is_date and name in CLOCK_READINGS):
            self.seen.append(f"{module or owner}.{name}")


if __name__ == "__main__":
    watch = Watch()
    print(
        json.dumps(
            {
                "controls": {name: watch.of(run) for name, run in CONTROLS.items()},
                "verifiers": {name: watch.of(run) for name, run in VERIFIERS.items()},
            }
        )
    )
