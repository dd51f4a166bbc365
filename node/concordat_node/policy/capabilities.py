"""What policies may use of OPA: everything but what reaches outside or answers differently twice. PURE.

`policies/capabilities.json` is written from here (`capabilities_text`), and a test compares the two. A decision must be
a function of its input: `now` comes in the input, and a policy never opens a connection.
"""

from __future__ import annotations

import json

from concordat_trust.canonical import Json, JsonObject, parse_object

FORBIDDEN = frozenset({"http.send", "net.lookup_ip_addr", "opa.runtime", "time.now_ns"})
"""Forbidden by name; besides these, everything that OPA itself calls nondeterministic."""

FEATURES = ("keywords_in_refs", "rego_v1")
CAPABILITIES_BYTES_MAX = 2_000_000


def capabilities_text(current: bytes) -> str:
    """Return the text of the capabilities file, given what `opa capabilities --current` prints.

    Descriptions are left out, one builtin per line, so that a change of OPA shows as a readable diff.
    """
    document = parse_object(current, bytes_max=CAPABILITIES_BYTES_MAX)
    builtins = document.get("builtins")
    kept = [_plain(b) for b in builtins if _is_allowed(b)] if isinstance(builtins, list) else []
    lines = ",\n".join("    " + json.dumps(b, sort_keys=True) for b in kept)
    head = f'  "allow_net": [],\n  "features": {json.dumps(list(FEATURES))},\n  "future_keywords": [],\n'
    return f'{{\n{head}  "builtins": [\n{lines}\n  ]\n}}\n'


def _is_allowed(builtin: Json) -> bool:
    if not isinstance(builtin, dict):
        return False
    return builtin.get("name") not in FORBIDDEN and builtin.get("nondeterministic") is not True


def _plain(value: Json) -> Json:
    if isinstance(value, dict):
        kept: JsonObject = {k: _plain(v) for k, v in value.items() if k not in {"description", "categories"}}
        return kept
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value
