"""What a page is told of a job's events: parts of itself, written by the same templates as the whole page."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

from concordat_node.home.jobs import JobEvent
from concordat_node.home.result import RESULT_BYTES_MAX
from concordat_node.portal.organizations import chip_of, running_summary
from concordat_node.portal.pages import Pages
from concordat_node.portal.reading import Object, obj, objects, text
from concordat_node.portal.records import record_of
from concordat_trust.canonical import parse_object
from concordat_trust.measured import deciding_first


def read_event(event: JobEvent) -> Object:
    """Return the data of an event."""
    return parse_object(event.data, bytes_max=RESULT_BYTES_MAX)


def fragment_writer(
    pages: Pages, job_id: str, names: Mapping[str, str], question: Object, earlier: Sequence[JobEvent]
) -> Callable[[JobEvent], str]:
    """Return what writes each further event as one line of JSON; `earlier` are those the page has already."""
    entries = [obj(read_event(event).get("entry")) for event in earlier]

    def write(event: JobEvent) -> str:
        if event.is_last:
            return json.dumps({"state": event.name})
        told = read_event(event)
        entry = obj(told.get("entry"))
        entries.append(entry)
        organization = text(entry.get("organization"))
        records = [record_of(deciding_first(one, question), names) for one in objects(told.get("records"))]
        return json.dumps(
            {
                "organization": organization,
                "chip": pages.fragment("chip", chip_of(entry, names.get(organization, organization))),
                "records": "".join(pages.fragment("record", record, job_id) for record in records),
                "summary": running_summary(entries, len(names)),
            }
        )

    return write
