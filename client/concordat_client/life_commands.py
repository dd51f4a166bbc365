"""The parsers of the commands with which a network lives; what they do is in `life_actions`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

Add = Callable[[str, str], argparse.ArgumentParser]
"""Adds a command by name and sentence."""


def register_life(add: Add) -> None:
    """Add the commands of keyholders and of organizations."""
    _keyholder(add("keyholder", "make the key of a keyholder, or of the online signer, and its public part"))
    _invite(add("invite", "invite an organization to apply, with the key of one keyholder"))
    _apply(add("apply", "apply for membership: own keys, a self-signed statement, a test against the network"))
    _approve(add("approve", "read what is proposed in plain words, and sign it with the key of one keyholder"))
    _publish(add("publish", "publish what enough keyholders approved, or what an organization signed about itself"))
    _rotate(add("rotate", "renew an organization's own statement and keys, without asking anybody"))
    _about_member(add("reinstate", "propose to lift a suspension; further keyholders approve it"))
    _about_member(add("remove", "propose to remove a member; further keyholders approve it"))
    _replace_keyholder(add("replace-keyholder", "propose another keyholder in place of one; others approve it"))
    _proposes(add("renew", "propose to sign everything again before it expires; further keyholders approve it"))


def _keyholder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="how the others call you, such as keyholder-one")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="your own folder: NAME.pem stays there")
    parser.add_argument("--online", action="store_true", help="the key is for the online signer, not for a keyholder")
    parser.add_argument(
        "--encrypt", action="store_true", help="protect the key file with a passphrase that is asked for"
    )


def _invite(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("organization", metavar="ORGANIZATION", help="the id that it will have")
    _reads(parser)
    parser.add_argument("--key", type=Path, required=True, metavar="FILE", help="your keyholder's key, mode 0600")
    parser.add_argument("--mirror", action="append", required=True, metavar="URL", help="where it finds the bundle")
    parser.add_argument("--kind", choices=("organization", "coordinator"), default="organization")
    parser.add_argument("--days", type=int, default=14, help="how long the invitation holds (default: %(default)s)")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the invitation, to be sent to it")


def _apply(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("invitation", type=Path, metavar="INVITATION", help="the file that a keyholder sent you")
    parser.add_argument("--root-sha256", metavar="HEX", help="root fingerprint, as a keyholder told you by voice")
    parser.add_argument("--legal-name", required=True, metavar="TEXT")
    parser.add_argument("--endpoint", required=True, metavar="URL", help="where the network reaches you; https")
    parser.add_argument("--country", required=True, metavar="CC", help="two letters")
    parser.add_argument("--type", required=True, choices=("public", "nonprofit", "commercial"))
    parser.add_argument("--contact", default="", metavar="TEXT", help="whom the keyholders call")
    parser.add_argument(
        "--affiliation", action="append", default=[], help="what you may say of your people; repeatable"
    )
    parser.add_argument("--role", action="append", default=[], help="what you may say of your people; repeatable")
    parser.add_argument(
        "--acr", action="append", default=[], metavar="VALUE", help="how you may say they signed in; repeatable"
    )
    parser.add_argument("--clearance", choices=("public", "registered", "controlled", "restricted"), default="public")
    parser.add_argument(
        "--keys", type=Path, required=True, metavar="DIR", help="your keys; missing ones are made there"
    )
    parser.add_argument(
        "--organization-key", type=Path, metavar="FILE", help="default: entity.pem in --keys; keep offline"
    )
    parser.add_argument("--mirror", action="append", default=[], metavar="URL", help="instead of the invitation's")
    parser.add_argument("--ca-file", type=Path, metavar="PEM", help="certificates to trust instead of the system's")
    parser.add_argument("--without-self-test", action="store_true", help="keyholders see that none was made")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the application, for the keyholders")


def _approve(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="an application, a founding, or another's approval")
    _reads(parser, needed=False)
    _signs(parser)
    parser.add_argument("--grant", type=Path, metavar="FILE", help="may_assert as JSON, instead of what is asked for")
    parser.add_argument("--without-self-test", action="store_true", help="approve an application that made none")
    _statistics(parser)


def _publish(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="approvals, or one organization's own file")
    parser.add_argument("--repository", type=Path, required=True, metavar="DIR", help="the online signer's folder")
    parser.add_argument("--root-sha256", metavar="HEX", help="root fingerprint; a founding has none yet")
    _statistics(parser)


def _rotate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("organization", metavar="ORGANIZATION", help="your own id")
    _reads(parser)
    parser.add_argument("--keys", type=Path, required=True, metavar="DIR", help="your keys; new ones go to DIR/next")
    parser.add_argument("--organization-key", type=Path, metavar="FILE", help="default: entity.pem in --keys")
    step = parser.add_mutually_exclusive_group()
    step.add_argument(
        "--switch", action="store_true", help="second step: let the published DIR/next be the keys in use"
    )
    step.add_argument("--retire", action="store_true", help="last step: list the keys in use only")
    step.add_argument("--renew", action="store_true", help="no new keys: the same statement, valid longer")
    step.add_argument("--lost-organization-key", action="store_true", help="make another; keyholders must approve it")
    parser.add_argument("--endpoint", metavar="URL", help="move to another address")
    parser.add_argument(
        "--visa-issuer", type=Path, metavar="FILE", help="publish your issuer of visas (docs/identity.md)"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="what `trust publish` or `trust approve` takes")


def _about_member(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("organization", metavar="ORGANIZATION", help="the member")
    _proposes(parser)


def _replace_keyholder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("leaving", metavar="NAME", help="name or key id of the keyholder who leaves")
    parser.add_argument("--by", type=Path, required=True, metavar="FILE", help="public part of the one who comes")
    _proposes(parser)


def _proposes(parser: argparse.ArgumentParser) -> None:
    _reads(parser)
    _signs(parser)


def _signs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--key", type=Path, required=True, metavar="FILE", help="your keyholder's key, mode 0600")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="your approval, for the next keyholder")
    parser.add_argument(
        "--yes", action="store_true", help="sign without asking; the difference is printed all the same"
    )


def _reads(parser: argparse.ArgumentParser, *, needed: bool = True) -> None:
    parser.add_argument(
        "--bundle", type=Path, required=needed, metavar="PATH", help="an archive, or a repository folder"
    )
    parser.add_argument("--root-sha256", metavar="HEX", help="root fingerprint of the network")


def _statistics(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--statistics", type=Path, metavar="FILE", help="of a founding, if not the shipped ones")
