"""Reading a JSON object field by field, so that every wrong type is one refusal with a place.

`Shape` is used by every document parser: fields are taken by name and type, and `finish` refuses what nobody asked for.
Documents whose unknown fields must be kept (bundle documents, records, attestations) do not call `finish`.
"""

from __future__ import annotations

from collections.abc import Sequence

from concordat_trust.canonical import INTEGER_MAX, Json, JsonObject
from concordat_trust.errors import RefusedDocument

TEXT_MAX = 4_000
LIST_MAX = 1_000


class DocumentMalformed(RefusedDocument):
    code = "document_malformed"
    sentence = "{where}: the field {field!r} {problem}."
    hint = "Correct this field; the documentation lists the fields of every document."


class Shape:
    """A JSON object being read. Every getter raises DocumentMalformed with the field's name."""

    def __init__(self, obj: Json, where: str) -> None:
        if not isinstance(obj, dict):
            raise DocumentMalformed(where=where, field="", problem="is not an object")
        self._obj: JsonObject = obj
        self._where = where
        self._taken: set[str] = set()

    def refuse(self, field: str, problem: str) -> DocumentMalformed:
        """Return the error for `field`, to be raised by a parser that knows a further rule."""
        return DocumentMalformed(where=self._where, field=field[:100], problem=problem)

    def has(self, name: str) -> bool:
        return name in self._obj

    def value(self, name: str) -> Json:
        """Return the raw value; the field must be there, null is a value."""
        self._taken.add(name)
        if name not in self._obj:
            raise self.refuse(name, "is missing")
        return self._obj[name]

    def text(self, name: str, *, length_max: int = TEXT_MAX, length_min: int = 0) -> str:
        value = self.value(name)
        if not isinstance(value, str):
            raise self.refuse(name, "is not a text")
        if not length_min <= len(value) <= length_max:
            raise self.refuse(name, f"has not {length_min} to {length_max} characters")
        return value

    def optional_text(self, name: str, *, length_max: int = TEXT_MAX) -> str | None:
        return None if self._absent(name) else self.text(name, length_max=length_max)

    def integer(self, name: str, *, minimum: int = -INTEGER_MAX, maximum: int = INTEGER_MAX) -> int:
        value = self.value(name)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.refuse(name, "is not an integer")
        if not minimum <= value <= maximum:
            raise self.refuse(name, f"is not between {minimum} and {maximum}")
        return value

    def optional_integer(self, name: str, *, minimum: int = -INTEGER_MAX, maximum: int = INTEGER_MAX) -> int | None:
        return None if self._absent(name) else self.integer(name, minimum=minimum, maximum=maximum)

    def boolean(self, name: str) -> bool:
        value = self.value(name)
        if not isinstance(value, bool):
            raise self.refuse(name, "is not true or false")
        return value

    def one_of(self, name: str, allowed: Sequence[str]) -> str:
        value = self.text(name)
        if value not in allowed:
            raise self.refuse(name, "is not one of " + ", ".join(allowed))
        return value

    def texts(self, name: str, *, count_max: int = LIST_MAX, length_max: int = TEXT_MAX) -> tuple[str, ...]:
        values = self._list(name, count_max)
        if not all(isinstance(v, str) and len(v) <= length_max for v in values):
            raise self.refuse(name, f"is not a list of texts of at most {length_max} characters")
        return tuple(str(v) for v in values)

    def object(self, name: str) -> Shape:
        return Shape(self.value(name), f"{self._where}.{name}")

    def raw_object(self, name: str) -> JsonObject:
        value = self.value(name)
        if not isinstance(value, dict):
            raise self.refuse(name, "is not an object")
        return value

    def objects(self, name: str, *, count_max: int = LIST_MAX) -> tuple[Shape, ...]:
        values = self._list(name, count_max)
        return tuple(Shape(v, f"{self._where}.{name}[{i}]") for i, v in enumerate(values))

    def finish(self) -> None:
        """Refuse every field that no getter asked for."""
        unknown = sorted(set(self._obj) - self._taken)
        if unknown:
            raise self.refuse(unknown[0], "is not known here")

    def unknown(self) -> tuple[str, ...]:
        """Return the names nobody asked for, sorted; for documents that keep them."""
        return tuple(sorted(set(self._obj) - self._taken))

    def _absent(self, name: str) -> bool:
        self._taken.add(name)
        return self._obj.get(name) is None

    def _list(self, name: str, count_max: int) -> list[Json]:
        value = self.value(name)
        if not isinstance(value, list):
            raise self.refuse(name, "is not a list")
        if len(value) > count_max:
            raise self.refuse(name, f"has more than {count_max} entries")
        return value
