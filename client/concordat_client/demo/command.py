"""`concordat demo`: three organizations on this machine, one question, three answers; then left running until Ctrl-C.

Rules of this file:

* Everything lives in one temporary folder and a few child processes; both are gone at the end, also after Ctrl-C at any
  moment. Only what was asked for remains (`--save`).
* With `--check` nothing waits for a person, and the exit code is 7 when anything differs from what is promised.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concordat_client.demo.network import Network
    from concordat_client.demo.story import Say, Story

EXIT_DONE, EXIT_USAGE, EXIT_FINDING, EXIT_INTERRUPTED = 0, 2, 7, 130


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    demo = subparsers.add_parser(
        "demo",
        help="run three organizations here and ask them one question",
        description="Run three organizations, a coordinator and an identity provider on this machine; ask one question "
        "as three people; stop a node; verify a saved answer offline; suspend an organization. Then leave the network "
        "running until Ctrl-C.",
    )
    demo.add_argument("--check", action="store_true", help="do it all without waiting; exit 7 if anything differs")
    demo.add_argument(
        "--save", type=Path, metavar="FILE", help="keep the saved answer and its bundle (.bundle.zip) afterwards"
    )
    demo.add_argument("--json", action="store_true", help="one JSON object on standard output, words on standard error")
    demo.set_defaults(run=run_demo)


def run_demo(arguments: argparse.Namespace) -> int:
    """Set up, tell the story, report, and wait."""
    say = _say_to_stderr if arguments.json else _say_to_stdout
    if arguments.save is not None and (arguments.save.is_dir() or not arguments.save.absolute().parent.is_dir()):
        say(f"concordat demo: --save {arguments.save}: name a file in a folder that exists")
        return EXIT_USAGE
    try:
        with _interruptible(), tempfile.TemporaryDirectory(prefix="concordat-demo-") as folder:
            return _run(arguments, Path(folder), say)
    except KeyboardInterrupt:
        say("\nStopped; every process has ended.")
        return EXIT_DONE if not arguments.check else EXIT_INTERRUPTED


def _run(arguments: argparse.Namespace, folder: Path, say: Say) -> int:
    from concordat_client.demo.layout import lay_out, read_topology
    from concordat_client.demo.network import running
    from concordat_client.demo.story import Story

    now = int(time.time())
    say("holding the ceremony: 3 keyholders (2 of 3), 3 organizations, 1 coordinator ...")
    layout = lay_out(folder, read_topology(), at=now)
    opa_source, opa_version = _opa()
    story = Story(layout, opa_source, opa_version, started_at=_launched_at())
    with running(layout) as network:
        _tell(story, network, now, say, save_to=arguments.save)
        if arguments.json:
            print(json.dumps(story.to_json()), flush=True)
        for finding in story.findings:
            say(f"DIFFERS: {finding}")
        if not story.findings:
            say(f"\nEverything is as promised. Root fingerprint: {layout.ceremony.root_sha256}")
        if arguments.save is not None:
            say(f"Saved to {arguments.save} and {arguments.save.with_suffix('.bundle.zip')}.")
        if not arguments.check:
            _invite(story, say)
            signal.pause()
    return EXIT_FINDING if story.findings else EXIT_DONE


def _tell(story: Story, network: Network, now: int, say: Say, *, save_to: Path | None) -> None:
    from concordat_client.demo.lineage_story import walk_as_everybody
    from concordat_client.demo.story import (
        ask_as_everybody,
        ask_with_a_node_missing,
        sign_everybody_in,
        suspend_live,
        verify_offline,
    )

    say("starting an online signer, an identity provider, a coordinator and three nodes ...")
    network.start()
    say("training the models and registering them ...")
    models = network.fill(at=now)
    say("  " + ", ".join(f"{organization}: {count} models" for organization, count in models.items()))
    network.wait_ready()
    sessions = sign_everybody_in(story.layout)
    say(f"the question: “{story.layout.topology.question}”")
    ask_as_everybody(story, sessions, say)
    walk_as_everybody(story, sessions, say)
    ask_with_a_node_missing(story, network, sessions, say)
    verify_offline(story, sessions["trial-analyst"], say, save_to=save_to)
    suspend_live(story, sessions["trial-analyst"], say)


def _invite(story: Story, say: Say) -> None:
    layout = story.layout
    say(f"\nFirst answer after {story.total_first_answer_s} s. The network is running; Ctrl-C stops all of it.")
    for name, address in layout.addresses.items():
        say(f"  {name:<18} {address}")
    say(f"  {'root fingerprint':<18} {layout.ceremony.root_sha256}")
    home, person = layout.addresses[layout.topology.home], layout.topology.persons[1].subject
    say("Open the portal in a browser, and sign in as one of these persons:")
    say(f"  {home}/portal/")
    for each in layout.topology.persons:
        say(f"  {each.subject:<22} {each.password:<14} {each.title}")
    say("or ask in another terminal, as one of the three, or signed in yourself:")
    say(f"  XDG_CONFIG_HOME={layout.person_folder(person)} ./concordat search 'data sets about trials' --purpose HMB")
    say(f"  ./concordat login --home {home}")
    say("To check a saved answer without believing any node, fetch the trust bundle from its mirror:")
    mirror, root_sha256 = layout.addresses["online-signer"], layout.ceremony.root_sha256
    say(f"  ./concordat trust fetch --mirror {mirror} --root-sha256 {root_sha256} --out bundle.zip")


def _opa() -> tuple[str, str]:
    """Return (source, version): what the launcher found first, else what is found now."""
    from concordat_node.policy.opa_binary import ensure_opa

    found = os.environ.get("CONCORDAT_OPA_FOUND", "")
    if found:
        told = json.loads(found)
        return str(told["source"]), str(told["version"])
    binary = ensure_opa()
    return binary.source, binary.version


def _launched_at() -> float:
    """Return when the launcher started (Unix seconds), or now when it was not used."""
    try:
        return float(os.environ["CONCORDAT_STARTED_AT"])
    except (KeyError, ValueError):
        return time.time()


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let SIGTERM stop the demonstration as Ctrl-C does."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _say_to_stdout(text: str) -> None:
    print(text, flush=True)


def _say_to_stderr(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
