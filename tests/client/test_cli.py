"""The umbrella command: light until a command runs, and one exit code for each kind of end."""

from __future__ import annotations

import subprocess
import sys

import pytest

from concordat_client import cli
from concordat_client.errors import HomeRefused, HomeUnreachable, RootNotPinned, SignedOut
from concordat_client.exits import Exit, exit_of
from concordat_client.plain_text import plain
from concordat_trust.errors import ConcordatError
from concordat_trust.wire.transport import PeerUnreachable

HEAVY = {
    *("httpx", "cryptography", "jwt", "tuf", "securesystemslib", "rfc8785", "snowballstemmer", "sqlalchemy", "fastapi"),
    *("uvicorn", "aiohttp", "strawberry", "lark", "numpy", "sklearn", "asyncio", "concordat_node"),
    *("concordat_coordinator", "importlib.metadata"),
}


def loaded_by(*arguments: str) -> set[str]:
    program = (
        "import sys; from concordat_client.cli import main\n"
        f"try:\n    main({list(arguments)!r})\nexcept SystemExit:\n    pass\n"
        "print('loaded', *sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    return set(done.stdout.rsplit("loaded ", 1)[1].split())


@pytest.mark.parametrize("arguments", [["--help"], [], ["search", "--help"], ["login", "--help"], ["verify", "--help"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    assert loaded_by(*arguments) & HEAVY == set()


def test_plain_help_imports_nothing_of_ours_but_the_umbrella() -> None:
    ours = {name for name in loaded_by("--help") if name.startswith("concordat_")}
    assert ours == {"concordat_client", "concordat_client.cli"}


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["--help"])
    assert ended.value.code == Exit.DONE
    shown = capsys.readouterr().out
    assert all(command.name in shown for command in cli.COMMANDS)


@pytest.mark.parametrize(
    "name", ["login", "logout", "whoami", "search", "show", "verify", "trust", "node", "coordinator"]
)
def test_every_command_registers_itself_under_its_name(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([name, "--help"])
    assert ended.value.code == Exit.DONE
    assert f"concordat {name}" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["fly"], ["search"], ["search", "x"], ["verify", "x"], ["--fly"]])
def test_a_wrong_use_is_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == Exit.USAGE
    assert "usage:" in capsys.readouterr().err


def test_no_command_shows_the_help_and_is_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == Exit.USAGE
    assert "COMMAND" in capsys.readouterr().out


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--version"])
    assert capsys.readouterr().out.startswith("concordat ")


def refused(status: int, code: str = "some_code") -> HomeRefused:
    return HomeRefused(status=status, remote_code=code, message="told", remote_hint="do")


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (SignedOut(), Exit.NOT_SIGNED_IN),
        (refused(401), Exit.NOT_SIGNED_IN),
        (refused(403), Exit.REFUSED_BY_POLICY),
        (refused(400), Exit.USAGE),
        (refused(422), Exit.USAGE),
        (refused(429), Exit.UNREACHABLE),
        (refused(502), Exit.UNREACHABLE),
        (refused(503), Exit.UNREACHABLE),
        (refused(400, "organization_suspended"), Exit.TRUST_FAILED),
        (HomeUnreachable(address="x"), Exit.UNREACHABLE),
        (PeerUnreachable(endpoint="x", sent=False), Exit.UNREACHABLE),
        (RootNotPinned(network="x"), Exit.TRUST_FAILED),
    ],
)
def test_every_end_has_its_exit_code(error: ConcordatError, exit_code: Exit) -> None:
    assert exit_of(error) == exit_code


def test_a_refusal_of_the_home_node_keeps_the_home_nodes_code() -> None:
    assert refused(422, "filter_field_unknown").to_json() == {
        "code": "filter_field_unknown",
        "message": "told",
        "hint": "do",
    }


def test_an_error_text_from_elsewhere_is_neutralised(capsys: pytest.CaptureFixture[str]) -> None:
    hostile = HomeRefused(status=422, remote_code="some_code", message="\x1b[2Jgone", remote_hint="\u202eback")
    assert cli._told(hostile, as_json=False) == Exit.USAGE
    printed = capsys.readouterr().err
    assert "\x1b" not in printed
    assert "\u202e" not in printed
    assert plain("\x1b[2Jgone") in printed
