"""The templates and what every page of the portal knows.

Every text that a template writes passes `plain` before it is escaped: no template can forget it, and a text from
another organization can neither turn a line around nor hide in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from concordat_node.portal.forms import PAGE_SIZES, SORTS, AskForm
from concordat_node.portal.static_files import StaticFiles
from concordat_trust.lineage_words import CAVEAT
from concordat_trust.plain_text import plain
from concordat_trust.times import time_words
from concordat_trust.words import purpose_label

TEMPLATES = Path(__file__).parent / "templates"
TEXT_MAX = 20_000


@dataclass(frozen=True, slots=True)
class Person:
    """Who is signed in, in the words of the claims that the network is told."""

    subject: str
    organization: str
    claims: str
    csrf: str


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands around every page; `purpose` is what its answers were asked for, "" where nothing was asked."""

    network: str
    purposes: tuple[str, ...]
    person: Person | None
    form: AskForm
    purpose: str = ""


@cache
def _environment(root: str) -> Environment:
    """Return the compiled templates; the same for every node of a process, because they hold nothing of one."""
    files = StaticFiles()
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalized,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals.update(
        root=root,
        static=lambda name: f"{root}/static/{files.name(name)}",
        purpose_label=purpose_label,
        caveat=CAVEAT,
        page_sizes=PAGE_SIZES,
        sorts={name: words for name, (words, _) in SORTS.items()},
    )
    environment.filters["time"] = time_words
    environment.filters["short"] = _short
    return environment


class Pages:
    """Renders the portal's pages; `root` is the path under which they are."""

    def __init__(self, root: str) -> None:
        self._environment = _environment(root)

    def page(self, name: str, frame: Frame, **values: object) -> str:
        """Return one whole page."""
        return self._environment.get_template(f"{name}.html").render(frame=frame, **values)

    def fragment(self, macro: str, *arguments: object) -> str:
        """Return what one macro of the library writes: a part of a page, as the page itself would have it."""
        module = self._environment.get_template("parts.html").module
        return str(getattr(module, macro)(*arguments))


def _finalized(value: object) -> object:
    # What a template has made of escaped parts is markup already; everything else that is text is somebody's text.
    is_markup = hasattr(value, "__html__")
    return plain(value, length_max=TEXT_MAX) if isinstance(value, str) and not is_markup else value


def _short(value: str) -> str:
    return plain(value, length_max=300)


def claims_words(claims: Mapping[str, object], clearances: tuple[str, ...]) -> str:
    """Return a person's claims as one phrase."""
    clearance = claims["clearance"]
    level = clearances[clearance] if isinstance(clearance, int) and clearance < len(clearances) else str(clearance)
    return f"{claims['affiliation']}, {claims['role']}, cleared for {level} records"
