"""Talking to the node's OPA: one question over its Unix socket, one literal answer.

Rules of this file:

* Nothing else imports `opa_client` (a test says so). Of it the session and its health check are used; its other calls
  are closed, because some rewrite policy text, hand our token to other hosts, or take `{}` for an answer.
* A missing `result` is `PolicyUndefined`, never an empty decision: OPA answers 200 with `{}` for a misspelt rule.
* No retries, one timeout for the whole exchange, bounded connections: an answer that comes late is no answer.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NoReturn

import aiohttp
from opa_client.opa_async import AsyncOpaClient

from concordat_node.policy.engine import PolicyUnavailable
from concordat_trust.canonical import JsonObject

TIMEOUT_S = 0.75
CONNECTIONS_MAX = 8  # OPA keeps two cores busy with far fewer
ANSWER_BYTES_MAX = 32_000_000
_CHUNK_BYTES = 65_536


class PolicyUndefined(PolicyUnavailable):
    """The rule does not exist or has no value; to everybody outside, the policy is unavailable."""


class OpaClient(AsyncOpaClient):  # type: ignore[misc]  # the package has no py.typed
    """A client of one OPA. Make one per process; it connects at first use and is closed by `close_connection`."""

    def __init__(self, socket: Path, token: str, *, timeout_s: float = TIMEOUT_S) -> None:
        super().__init__(host="opa", token=token, retries=0, timeout=timeout_s)
        self._socket = socket
        self._session: aiohttp.ClientSession | None = None

    async def _init_session(self) -> None:
        self._connector = aiohttp.UnixConnector(str(self._socket), limit=CONNECTIONS_MAX)
        self._session = aiohttp.ClientSession(
            connector=self._connector,
            headers=self.headers,
            timeout=aiohttp.ClientTimeout(total=self.timeout),
        )

    async def evaluate(self, rule: str, document: JsonObject) -> object:
        """Return the value of `data.concordat.<rule>` for an input; `rule` is written with slashes.

        Raises: PolicyUnavailable when there is none in time, PolicyUndefined when the rule has no value.
        """
        if self._session is None:
            await self._init_session()
        url = f"{self.root_url}/data/concordat/{rule}"
        body = json.dumps({"input": document}, separators=(",", ":")).encode()
        try:
            async with self._request("POST", url, data=body, headers={"content-type": "application/json"}) as response:
                if response.status != 200:
                    raise PolicyUnavailable(cause="refused")
                return _result(await _read(response))
        except TimeoutError:
            raise PolicyUnavailable(cause="timeout") from None
        except (aiohttp.ClientError, OSError):
            raise PolicyUnavailable(cause="unreachable") from None

    async def is_healthy(self) -> bool:
        if self._session is None:
            await self._init_session()
        return bool(await self.check_health())

    def _closed(self, *_: object, **__: object) -> NoReturn:
        raise RuntimeError("this call of opa_client is not used here; ask with evaluate()")

    ad_hoc_query = bulk_query_rule = compile_query = query_rule = _closed
    check_connection = get_config = get_metrics = get_status = wait_for_ready = _closed
    delete_data = get_data = patch_data = update_or_create_data = _closed
    delete_policy = get_policies_info = get_policies_list = get_policy = policy_to_file = _closed
    update_policy_from_file = update_policy_from_string = update_policy_from_url = _closed


async def _read(response: aiohttp.ClientResponse) -> bytes:
    data = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
        data += chunk
        if len(data) > ANSWER_BYTES_MAX:
            raise PolicyUnavailable(cause="malformed")
    return bytes(data)


def _result(data: bytes) -> object:
    # Not the strict parser of documents: OPA is our own child, and every value is checked literally by decision.py.
    try:
        answer = json.loads(data)
    except (ValueError, RecursionError):
        raise PolicyUnavailable(cause="malformed") from None
    if not isinstance(answer, dict):
        raise PolicyUnavailable(cause="malformed")
    if "result" not in answer:
        raise PolicyUndefined(cause="undefined")
    return answer["result"]
