"""The coordinator's schema against its golden file, the node's, and the trusted document."""

from __future__ import annotations

from importlib.resources import files

from graphql import build_schema, lexicographic_sort_schema, print_schema, print_type

from concordat_coordinator.api.schema import SCHEMA, check_documents
from concordat_trust.wire import coordinator_documents, documents


def _golden(name: str) -> str:
    return files("concordat_trust").joinpath("wire", name).read_text("utf-8")


def _printed(sdl: str) -> str:
    return print_schema(lexicographic_sort_schema(build_schema(sdl)))


def test_the_schema_is_the_golden_file() -> None:
    assert _printed(SCHEMA.as_str()) == _printed(_golden("coordinator.graphql"))


def test_a_relayed_result_is_a_nodes_result() -> None:
    relay = build_schema(_golden("coordinator.graphql")).type_map
    node = build_schema(_golden("node.graphql")).type_map
    own = {"AskProgress", "Query", "RelayedAnswer", "RelayedAnswers", "Subscription"}
    shared = {name for name in relay if not name.startswith("__")} - own - {"Int"}
    assert "Result" in shared
    assert {name: print_type(relay[name]) for name in shared} == {name: print_type(node[name]) for name in shared}


def test_the_trusted_document_fits_the_schema() -> None:
    check_documents()


def test_there_is_one_text_and_one_id_for_each_way_of_asking() -> None:
    ask, progress = coordinator_documents.COORDINATOR_ASK_ID, coordinator_documents.COORDINATOR_ASK_PROGRESS_ID
    assert (documents.DOCUMENT_IDS["ask"], documents.DOCUMENT_IDS["askProgress"]) == (ask, progress)
    assert {ask: "ask", progress: "askProgress"} == coordinator_documents.COORDINATOR_DOCUMENTS_BY_ID
