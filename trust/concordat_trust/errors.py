"""What goes wrong, by who must act.

Rules of this file:

* Four families: `RefusedDocument` (somebody's document), `PeerFailure` (somebody's node), `OperatorError` (our own
  configuration or machine), `RequesterError` (the question). Nothing outside them leaves a parser or a verifier.
* A leaf has a stable `code`, typed fields and a `hint`; prose is derived from them, so tests and other implementations
  compare codes, never sentences.
* A field that is named `at`, `now` or `…_at` holds Unix seconds, and is shown as a date.
* A refused record is not an error but a decision. A call in the wrong order is a bug: `RuntimeError`.
"""

from __future__ import annotations

import re
from typing import ClassVar

from concordat_trust.times import time_words

Field = str | int | bool | None

_CODE = re.compile(r"^[a-z][a-z0-9_]{2,63}$")
_MOMENTS = ("at", "now")
_leaves: dict[str, type[ConcordatError]] = {}


class ConcordatError(Exception):
    """Base of the four families; never raised itself."""

    code: ClassVar[str] = ""
    sentence: ClassVar[str] = ""
    hint: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "code" not in cls.__dict__:
            return
        if not _CODE.fullmatch(cls.code):
            raise RuntimeError(f"{cls.__name__}: {cls.code!r} is not a snake_case code")
        other = _leaves.get(cls.code)
        if other is not None and not _is_reimport(other, cls):
            raise RuntimeError(f"{cls.__name__} and {other.__name__} share the code {cls.code!r}")
        _leaves[cls.code] = cls

    def __init__(self, **fields: Field) -> None:
        if not self.code:
            raise RuntimeError(f"{type(self).__name__} is a family; raise one of its leaves")
        self.fields = fields
        super().__init__(self.message)

    @property
    def message(self) -> str:
        """The sentence with its fields filled in; a missing field shows as `?`, a moment as a date."""
        filled = self.sentence.format_map(_Filled(_shown(self.fields)))
        # A field may be a sentence of its own, and brings its own full stop.
        return filled.removesuffix(".") if filled.endswith("..") else filled

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.fields))

    def to_json(self) -> dict[str, str]:
        """Return `{code, message, hint}`, the shape every interface shows."""
        return {"code": self.code, "message": self.message, "hint": self.hint}


def _is_reimport(one: type, other: type) -> bool:
    """Return whether both are one class of the source: a module that runs as the program is imported a second time."""
    modules = {one.__module__, other.__module__}
    return one.__qualname__ == other.__qualname__ and (len(modules) == 1 or "__main__" in modules)


def _shown(fields: dict[str, Field]) -> dict[str, Field]:
    return {name: _moment(name, value) for name, value in fields.items()}


def _moment(name: str, value: Field) -> Field:
    is_moment = name in _MOMENTS or name.endswith("_at")
    return time_words(value) if is_moment and isinstance(value, int) and not isinstance(value, bool) else value


class _Filled(dict[str, Field]):
    def __missing__(self, key: str) -> str:
        return "?"


def _rebuild(cls: type[ConcordatError], fields: dict[str, Field]) -> ConcordatError:
    return cls(**fields)


class RefusedDocument(ConcordatError):
    """A document from somebody else breaks a rule; its issuer must act."""


class PeerFailure(ConcordatError):
    """Another party's server did not do its part; its operator must act."""


class OperatorError(ConcordatError):
    """Our own configuration, disk or process; our operator must act."""


class RequesterError(ConcordatError):
    """The question or the person's standing; the requester must act."""


def all_error_classes() -> tuple[type[ConcordatError], ...]:
    """Return every leaf that has been imported, ordered by code."""
    return tuple(_leaves[code] for code in sorted(_leaves))
