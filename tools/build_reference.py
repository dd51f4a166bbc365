"""Write the reference pages of `docs/reference` from the code itself; with --check, say what is out of date.

Pages: errors.md (every error class), settings.md (every option of node and coordinator), commands.md (every command's
help), policy-codes.md (every code that the policy can give), records.md (every field of an import line),
membership.md (the table of a membership's states), bundle-rules.md (every rule of a trust bundle), graphql-doors.md
(every limit, type and field of the federation doors). Exit codes: 0 done, 7 a page is out of date.
"""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from concordat_trust import policy_words
from concordat_trust.errors import (
    ConcordatError,
    OperatorError,
    PeerFailure,
    RefusedDocument,
    RequesterError,
    all_error_classes,
)

ROOT = Path(__file__).resolve().parent.parent
PAGES = ROOT / "docs" / "reference"
PACKAGES = ("concordat_trust", "concordat_node", "concordat_coordinator", "concordat_client")
FAMILIES: tuple[tuple[type[ConcordatError], str], ...] = (
    (RefusedDocument, "Somebody's document breaks a rule: its issuer must act"),
    (PeerFailure, "Another party's server did not do its part: its operator must act"),
    (OperatorError, "Our own configuration, disk or process: our operator must act"),
    (RequesterError, "The question or the person's standing: the requester must act"),
)
_MADE = "<!-- Made by tools/build_reference.py from the code. Do not edit. -->\n\n"
_METADATA = re.compile(r"^# METADATA\n((?:#.*\n)+)(?:default )?([a-z_]+)", re.MULTILINE)
_OBLIGATION = re.compile(r'"code": "([a-z_]+)",\s*"text": "([^"]+)"')
FINDING = 7


def import_everything() -> None:
    """Import every module of the packages, so that every error class is known."""
    for name in PACKAGES:
        package = importlib.import_module(name)
        for module in pkgutil.walk_packages(package.__path__, f"{name}."):
            if ".migrations" not in module.name:
                importlib.import_module(module.name)


def errors_page() -> str:
    lines = ["# Errors\n", "Codes are stable; sentences are not. `?` stands for a field of the error.\n"]
    ours = [leaf for leaf in all_error_classes() if leaf.__module__.split(".")[0] in PACKAGES]
    for family, meaning in FAMILIES:
        lines.append(f"## `{family.__name__}`\n\n{meaning}.\n\n| code | what happened | what to try |\n|---|---|---|")
        lines += [_row(leaf) for leaf in ours if issubclass(leaf, family)]
        lines.append("")
    return "\n".join(lines)


def _row(leaf: type[ConcordatError]) -> str:
    sentence = re.sub(r"\{[^{}]*\}", "…", leaf.sentence).replace("{{", "{").replace("}}", "}")
    return f"| `{leaf.code}` | {sentence} | {leaf.hint} |".replace("\n", " ")


def settings_page() -> str:
    from concordat_coordinator import settings as coordinator  # noqa: PLC0415 - this page only
    from concordat_node import settings as node  # noqa: PLC0415 - the same

    lines = ["# Settings\n", "A JSON file named with `--settings`, and the environment over it.\n"]
    for title, module in (("Node", node), ("Coordinator", coordinator)):
        lines.append(f"## {title}\n\nEnvironment prefix `{module.PREFIX}`.\n")
        lines.append("| setting | kind | unit | default | meaning |\n|---|---|---|---|---|")
        for option in module.options():
            default = "(must be given)" if option.default is None else f"`{option.default}`"
            lines.append(f"| `{option.name}` | {option.kind} | {option.unit} | {default} | {option.meaning} |")
        lines.append("")
    lines.append(_HOME)
    return "\n".join(lines)


_HOME = """## The `home` object of a node

| field | meaning |
|---|---|
| `base_url` | where people reach this node; the provider's registered redirect is `{base_url}/login/callback` |
| `provider` | `issuer`, `client_id`, `client_secret` (null: public), `scope`, `algorithm`, `userinfo` (identity.md) |
| `claims` | `affiliation`, `role`, `clearance`, maybe `registrar`, `purposes`: `claim` and `rules`, `is` → `becomes` |
| `claims_file` | instead of `claims`: a file with the same object and `mapping_version` 1, relative to `data_dir` |
| `token_exchange` | `audience` of the tokens that scripts exchange for a session; not the `client_id`; absent: none |
| `coordinators` | ids of coordinators, asked in this order until one answers |
| `session_idle_s`, `session_absolute_s` | lifetimes of a session |
| `question_deadline_ms` | how long one question may take |
| `minting` | `shared` (default): one token and one pseudonym for the network; `per_organization`: one for each |

## Environment

| variable | meaning |
|---|---|
| `CONCORDAT_KEY_PASSPHRASE_FILE` | file (0600) with the passphrase of encrypted key files, on one line |
| `CONCORDAT_OPA` | path of an OPA program to use; used or refused, never passed over |
| `CONCORDAT_PYTHON` | Python for the launcher |
| `XDG_CACHE_HOME` | where the verified OPA and the launcher's uv are kept (default `~/.cache`) |
| `XDG_CONFIG_HOME` | where sessions and pinned fingerprints are kept (default `~/.config`) |
"""


def commands_page() -> str:
    from concordat_client.cli import COMMANDS, build_parser  # noqa: PLC0415 - this page only

    os.environ["COLUMNS"] = "100"
    lines = [
        "# Commands\n",
        "Exit codes: 0 done · 1 unexpected · 2 usage · 3 partial (with `--require-complete`) · 4 not signed in ·",
    ]
    lines.append("5 refused by policy · 6 trust or signature failed · 7 finding · 8 unreachable.\n")
    for command in COMMANDS:
        parser = build_parser(command)
        lines += list(_help(parser, command.name))
    return "\n".join(lines)


def _help(parser: argparse.ArgumentParser, path: str) -> Iterator[str]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            name, _, rest = path.partition(" ")
            sub = action.choices[name]
            if rest:
                yield from _help(sub, rest)
                return
            yield f"## `concordat {sub.prog.partition(' ')[2]}`\n\n```\n{sub.format_help().rstrip()}\n```\n"
            for inner in sub._actions:
                if isinstance(inner, argparse._SubParsersAction):
                    for deeper in inner.choices:
                        yield from _help(sub, deeper)


def reasons_page() -> str:
    lines = ["# Codes of the baseline policy\n"]
    for title, words in (
        ("What a requester lacks and somebody can grant (shown with a record in summary)", policy_words.MISSING_WORDS),
        ("Who can grant it", policy_words.GRANTOR_WORDS),
        ("Why an organization refuses a whole question (stands in its answer)", policy_words.SCOPE_WORDS),
        ("What a use rests on", policy_words.GROUND_WORDS),
        ("Why a record is not shown at all (never leaves the node)", policy_words.REFUSAL_WORDS),
    ):
        lines.append(f"## {title}\n\n| code | meaning |\n|---|---|")
        lines += [f"| `{code}` | {meaning} |" for code, meaning in sorted(words.items())]
        lines.append("")
    lines.append("## Obligations\n\n| code | what the requester must do |\n|---|---|")
    lines += [f"| `{code}` | {text} |" for code, text in sorted(obligations().items())]
    lines.append("\n## Entry points\n\nWhat the node asks OPA for; `input` has the schemas beside the policies.\n")
    lines += ["| rule | what it answers |", "|---|---|"]
    lines += [f"| `data.{rule}` | {meaning} |" for rule, meaning in sorted(entry_points().items())]
    lines.append("")
    return "\n".join(lines)


def obligations() -> dict[str, str]:
    """Return the texts of the obligations that the Rego can give, by code."""
    source = (ROOT / "policies" / "rego" / "disclosure" / "obligations.rego").read_text("utf-8")
    return dict(_OBLIGATION.findall(source))


def entry_points() -> dict[str, str]:
    """Return what each rule marked `entrypoint: true` in the Rego answers, by its full name."""
    found: dict[str, str] = {}
    for path in sorted((ROOT / "policies" / "rego").rglob("*.rego")):
        source = path.read_text("utf-8")
        package = re.search(r"^package (\S+)$", source, re.MULTILINE)
        for block, rule in _METADATA.findall(source):
            if package and "# entrypoint: true" in block:
                found[f"{package[1]}.{rule}"] = block.partition("# title:")[2].partition("\n")[0].strip()
    return found


def rules_page() -> str:
    from concordat_trust.bundle.rules import RULES  # noqa: PLC0415 - this page only

    lines = [
        "# Rules of a trust bundle\n",
        "What `concordat trust verify` holds a bundle to and prints, rule by rule. A rule that closes the bundle ends",
        "the verification: the others are then undecided (`-`). A rule that closes a member closes it alone. BR-07 and",
        "BR-17 also compare with what a party has seen before; BR-07 raises an alarm, and the suspension stands.\n",
        "| rule | what must hold | code when it does not | what is closed |",
        "|---|---|---|---|",
    ]
    lines += [f"| {rule.number} | {rule.says} | `{rule.code}` | {rule.closes} |" for rule in RULES]
    return "\n".join(lines)


def membership_page() -> str:
    from concordat_trust.bundle.life.membership import MEANING, TRANSITIONS, diagram  # noqa: PLC0415 - this page only

    lines = [
        "# The life of a membership\n",
        "Every command that signs or publishes something about a member goes by this table, and nothing leads around",
        "it (`tests/trust/test_life_membership.py`). The commands: [join](../join.md).\n",
        "| state | meaning |\n|---|---|",
        *(f"| {state} | {meaning} |" for state, meaning in MEANING.items()),
        "\n| from | event | to | who | keyholders' signatures |\n|---|---|---|---|---|",
    ]
    for way in TRANSITIONS:
        signed = {"none": "none", "own": "none; its own key", "one": "one", "threshold": "threshold"}[way.signatures]
        lines.append(f"| {way.state} | {way.event.replace('_', ' ')} | {way.next} | {way.who} | {signed} |")
    lines.append(f"\n```mermaid\n{diagram()}\n```\n")
    return "\n".join(lines)


def pages() -> dict[str, str]:
    """Return the text of every page by its file name."""
    from graphql_fields import graphql_page, peers_page  # noqa: PLC0415 - this page only
    from record_fields import records_page  # noqa: PLC0415 - this page only

    import_everything()
    made = {
        "errors.md": errors_page(),
        "settings.md": settings_page(),
        "bundle-rules.md": rules_page(),
        "commands.md": commands_page(),
        "policy-codes.md": reasons_page(),
        "membership.md": membership_page(),
        "records.md": records_page(),
        "graphql-doors.md": graphql_page(),
        "graphql-peers.md": peers_page(),
    }
    return {name: _MADE + content.rstrip() + "\n" for name, content in made.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 7 when a page is out of date")
    check = parser.parse_args().check
    stale = []
    for name, text in pages().items():
        path = PAGES / name
        if path.exists() and path.read_text("utf-8") == text:
            continue
        stale.append(name)
        if not check:
            path.write_text(text, "utf-8")
    for name in stale if check else ():
        print(f"docs/reference/{name} is out of date: run tools/build_reference.py")
    return FINDING if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
