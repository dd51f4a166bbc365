"""Every field of an import line, for `docs/reference/records.md`; a test compares it with what the parsers ask for.

The limits are the parsers' own constants. A field is `must` when a line without it is refused.
"""

from __future__ import annotations

from dataclasses import dataclass

from concordat_node.registry import grant_rules, lineage_rules, policy_rules, rules, version_rules
from concordat_trust.lineage import EDGES_MAX
from concordat_trust.vocabulary import DUO_MODIFIERS, DUO_PERMISSIONS, PURPOSES, SPLITS


@dataclass(frozen=True, slots=True)
class RecordField:
    name: str
    must: bool
    meaning: str


@dataclass(frozen=True, slots=True)
class RecordPart:
    """One kind of object: a whole line, or an object inside one (`inside` names where)."""

    title: str
    fields: tuple[RecordField, ...]


def _must(name: str, meaning: str) -> RecordField:
    return RecordField(name, True, meaning)


def _may(name: str, meaning: str) -> RecordField:
    return RecordField(name, False, meaning)


def _text(length_max: int) -> str:
    return f"text of at most {length_max} characters"


_WORD = _text(rules.WORD_LENGTH_MAX)
_DIGEST = "SHA-256 of the signed document, 64 lower-case hex characters"
_GRANT_STATUS = "`active` or `revoked`"
_PURPOSES = "one or more of " + ", ".join(PURPOSES)

ASSET = RecordPart(
    "A line of `type` `dataset` or `model`",
    (
        _must(
            "type", "`dataset` or `model`; or `croissant`: a data set as the document in the field `croissant` has it"
        ),
        _may("local_name", "your own name for it; importing it again replaces it. This or `id`, and not both"),
        _may("id", "an id of this organization, instead of `local_name`"),
        _must("title", _text(rules.TITLE_LENGTH_MAX)),
        _must("created", "day, such as 2026-01-31"),
        _must("policy", "who may see it: the object below"),
        _may("summary", _text(rules.SUMMARY_LENGTH_MAX)),
        _may("description", _text(rules.DESCRIPTION_LENGTH_MAX)),
        _may("keywords", f"list of at most {rules.KEYWORDS_MAX} words"),
        _may("task", _WORD),
        _may("framework", _WORD),
        _may("modality", _WORD),
        _may("license", _WORD),
        _may("origin", _WORD),
        _may("version", "label of the current one of `versions`; without it the newest active one is"),
        _may("versions", f"list of at most {version_rules.VERSIONS_MAX} objects as below"),
        _may("cohort_size", f"whole number up to {rules.COHORT_MAX}"),
        _may("contact", _text(rules.TITLE_LENGTH_MAX)),
        _may("evaluations", f"list of at most {rules.EVALUATIONS_MAX} objects as below"),
        _may("lineage", f"list of at most {EDGES_MAX} objects as below: what it came from, or what others made of it"),
        _may(
            "trained_on",
            f"of a model: at most {rules.TRAINED_ON_MAX} local names of data sets, or ids of any organization's",
        ),
    ),
)
EVALUATION = RecordPart(
    "An object in `evaluations`",
    (
        _must("metric", "lower-case name, such as balanced_accuracy"),
        _must("value", 'decimal as text, such as "0.94"; a ratio is between 0 and 1'),
        _must("split", "one of " + ", ".join(SPLITS)),
        _may("unit", _WORD),
        _may("dataset", "in words: " + _text(rules.TITLE_LENGTH_MAX)),
        _may("dataset_id", "local name or id of the data set"),
        _may("interval_low", "decimal as text; both bounds or none"),
        _may("interval_high", "decimal as text"),
        _may("version", "label of the version that was measured"),
    ),
)
LINEAGE = RecordPart(
    "An object in `lineage`",
    (
        _must("relation", "one of " + ", ".join(f"`{word}`" for word in lineage_rules.LINEAGE_WORDS)),
        _may("local_name", "the other end: your own name for it. This or `id`, and not both"),
        _may("id", "the other end: an id of any organization's asset"),
        _may("asserted_on", "day on which this is asserted; `created` when it is left out"),
    ),
)
VERSION = RecordPart(
    "An object in `versions`",
    (
        _must("label", f"1 to {version_rules.LABEL_LENGTH_MAX} letters, digits and . _ + -; stands once"),
        _must("released", "day, such as 2026-01-31"),
        _may("digest", "SHA-256 of the artefact, 64 lower-case hex characters"),
        _may("changes", _text(version_rules.CHANGES_LENGTH_MAX)),
        _may("status", "`active` (the default) or `withdrawn`: then it leaves nothing anywhere"),
    ),
)
POLICY = RecordPart(
    "The object `policy`",
    (
        _must("sensitivity", "0 public, 1 registered, 2 controlled, 3 restricted: the clearance a requester needs"),
        _must("permission", "one DUO permission: " + ", ".join(f"{k} ({v[0]})" for k, v in DUO_PERMISSIONS.items())),
        _may("disease", "term id such as MONDO:0007254; needed with DUO:0000007 (DS), refused without"),
        _must("modifiers", f"list of at most {policy_rules.MODIFIERS_MAX} objects as below; may be empty"),
        _must(
            "agreements", f"ids of agreements, one of which a requester needs (at most {policy_rules.AGREEMENTS_MAX})"
        ),
        _must("approvals", f"ids of approvals, one of which a requester needs (at most {policy_rules.APPROVALS_MAX})"),
        _may("discoverable", "`summary`: who lacks something that can be granted sees a summary; else `none`"),
        _may("summary_metrics", "true: the summary shows evaluations; else false"),
        _may("relay_may_read", "true: need not be sealed against the coordinator (sensitivity 0 and 1); else false"),
        _may(
            "lineage",
            "`open`: ids of others in its edges may be told, and others be asked what came from it; `complete`: and "
            "nothing is left out; else `closed`",
        ),
        _must("embargo_until", "day before which nobody sees it, or null"),
        _must("status", "`active`, or it is shown to nobody"),
    ),
)
MODIFIER = RecordPart(
    "An object in `modifiers`",
    (
        _must("code", "DUO modifier: " + ", ".join(f"{k} ({v[0]})" for k, v in DUO_MODIFIERS.items())),
        _may("parameters", f"list of at most {policy_rules.PARAMETERS_MAX} objects as below"),
    ),
)
PARAMETER = RecordPart(
    "An object in `parameters`",
    (
        _must("name", "such as `country` for GS or `until` for TS"),
        _must("value", _text(policy_rules.PARAMETER_LENGTH_MAX)),
    ),
)
AGREEMENT = RecordPart(
    "A line of `type` `agreement`",
    (
        _must("type", "`agreement`"),
        _must("id", "1 to 80 letters, digits and . _ : / -"),
        _must("title", _text(grant_rules.NAME_LENGTH_MAX)),
        _must("parties", f"ids of 1 to {grant_rules.PARTIES_MAX} organizations"),
        _must("members", f"1 to {grant_rules.SUBJECTS_MAX} objects as below, each of a party"),
        _must("purposes", _PURPOSES),
        _must("valid_from", "Unix seconds"),
        _must("valid_until", "Unix seconds, after `valid_from`"),
        _must("status", _GRANT_STATUS),
        _must("document_digest", _DIGEST),
        _may("contact", _text(grant_rules.NAME_LENGTH_MAX)),
    ),
)
APPROVAL = RecordPart(
    "A line of `type` `approval`",
    (
        _must("type", "`approval`"),
        _must("id", "1 to 80 letters, digits and . _ : / -"),
        _must("board", "the ethics board, " + _text(grant_rules.NAME_LENGTH_MAX)),
        _must("protocol", _text(grant_rules.NAME_LENGTH_MAX)),
        _must("holders", f"1 to {grant_rules.SUBJECTS_MAX} objects as below"),
        _must("purposes", _PURPOSES),
        _must("approved_at", "Unix seconds"),
        _must("expires_at", "Unix seconds, after `approved_at`"),
        _must("status", _GRANT_STATUS),
        _must("document_digest", _DIGEST),
    ),
)
SUBJECT = RecordPart(
    "An object in `members` or `holders`",
    (
        _must("organization", "id of an organization"),
        _must("pseudonym", "of one person, as `concordat whoami` shows it; null for everybody of the organization"),
    ),
)
PARTS = (ASSET, EVALUATION, VERSION, LINEAGE, POLICY, MODIFIER, PARAMETER, AGREEMENT, APPROVAL, SUBJECT)


def records_page() -> str:
    lines = [
        "# Records of an import\n",
        "`concordat node import FILE` reads one JSON object per line. A field that is not listed here is refused, and",
        f"so is a line without a field that must be there. A line has at most {rules.LINE_BYTES_MAX} bytes.\n",
    ]
    for part in PARTS:
        lines.append(f"## {part.title}\n\n| field | must | what |\n|---|---|---|")
        lines += [f"| `{item.name}` | {'yes' if item.must else ''} | {item.meaning} |" for item in part.fields]
        lines.append("")
    return "\n".join(lines)
