"""Assets of the demonstration by their local names, for edges between organizations: an id is a secret of its owner."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from concordat_trust.canonical import JsonObject
from concordat_trust.ids import AssetKind


@dataclass(frozen=True, slots=True)
class Named:
    """An asset of some organization of the demonstration."""

    organization: str
    kind: AssetKind
    name: str


IdOf = Callable[[Named], str]
"""The id that the named asset has, or will have when its organization registers it."""

SHARED_MODEL = Named("alma-university", "model", "response-logistic")
ARM_OF_NORTH = Named("north-hospital", "dataset", "respire-sim-arm")


def edge_line(relation: str, end: Named, id_of: IdOf) -> JsonObject:
    """Return an entry of `lineage` in an import line."""
    return {"relation": relation, "id": id_of(end)}
