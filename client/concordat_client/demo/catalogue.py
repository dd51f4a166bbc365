"""What each organization of the demonstration registers: assets with true origins, agreements and approvals.

The lines are ordinary NDJSON for `concordat node import`; evaluations come from models that were trained a moment ago.
Policies differ on purpose, so that one question has three answers:

* alma-university lists its arm to registered researchers;
* north-hospital opens its arm to members of the consortium agreement with a valid ethics approval, and shows a summary
  with its figures to others; its second model is not even listed without both;
* vitalis opens its arm to members of the agreement, and lists nothing to anybody else.

Lineage crosses the three: north-hospital measured alma-university's model on its own arm, and both say so; vitalis
fine-tuned its model from that one, and only vitalis says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from concordat_client.demo.named import ARM_OF_NORTH, SHARED_MODEL, IdOf, Named, edge_line
from concordat_client.demo.training import ARM_PARTICIPANTS, Algorithm, Trained, data_digest, train
from concordat_trust.canonical import Json, JsonObject
from concordat_trust.croissant import CONFORMS_TO, CROISSANT_CONTEXT
from concordat_trust.encoding import sha256_hex

GRU, HMB = "DUO:0000042", "DUO:0000006"
IRB, NPU, NCU = "DUO:0000021", "DUO:0000045", "DUO:0000046"
DAY_S = 86_400
REGISTERED, CONTROLLED = 1, 2

_UCI = "UCI Machine Learning Repository, as carried by scikit-learn"
_ORIGIN = {
    "breast-cancer": f"Breast Cancer Wisconsin (Diagnostic), 1995; {_UCI}",
    "wine": f"Wine recognition data, 1991; {_UCI}",
    "digits": f"Optical recognition of handwritten digits (test part), 1998; {_UCI}",
    "diabetes": "Diabetes progression data of Efron, Hastie, Johnstone and Tibshirani, 2004 (scikit-learn)",
}
_PAPER = b"RESPIRE-SIM: the paper that a person would sign (demonstration text)."
_ARM_ORIGIN = "simulated for this demonstration; no real participants"


@dataclass(frozen=True, slots=True)
class Access:
    """The policy attributes of an asset, with the defaults of an openly listed one."""

    sensitivity: int = 0
    permission: str = GRU
    modifiers: tuple[str, ...] = ()
    agreements: tuple[str, ...] = ()
    approvals: tuple[str, ...] = ()
    discoverable: str = "none"
    summary_metrics: bool = False
    relay_may_read: bool = True
    lineage: str = "open"

    def to_json(self) -> JsonObject:
        return {
            "sensitivity": self.sensitivity,
            "permission": self.permission,
            "disease": None,
            "modifiers": [{"code": code, "parameters": []} for code in self.modifiers],
            "agreements": list(self.agreements),
            "approvals": list(self.approvals),
            "discoverable": self.discoverable,
            "summary_metrics": self.summary_metrics,
            "relay_may_read": self.relay_may_read,
            "embargo_until": "0001-01-01",
            "status": "active",
            "lineage": self.lineage,
        }


@dataclass(frozen=True, slots=True)
class ModelPlan:
    name: str
    title: str
    summary: str
    source: str
    algorithm: Algorithm
    access: Access
    dataset: str
    keywords: tuple[str, ...] = ()
    base: Named | None = None
    """The model whose weights this one starts from."""
    measured_at: str | None = None
    """The organization that measured it on its own arm."""


@dataclass(frozen=True, slots=True)
class DatasetPlan:
    name: str
    source: str
    title: str
    summary: str
    description: str
    modality: str
    origin: str
    access: Access
    cohort_size: int | None = None
    keywords: tuple[str, ...] = ()
    measures: Named | None = None
    """The model of somebody else that was measured on it."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The plans of one organization, before anything is trained."""

    datasets: tuple[DatasetPlan, ...]
    models: tuple[ModelPlan, ...]
    agreements: tuple[JsonObject, ...] = field(default=())
    approvals: tuple[JsonObject, ...] = field(default=())


def _arm(organization: str, access: Access, *, measures: Named | None = None) -> DatasetPlan:
    rows = ARM_PARTICIPANTS[organization]
    return DatasetPlan(
        name="respire-sim-arm",
        source=f"arm:{organization}",
        title=f"RESPIRE-SIM trial, arm of {organization}",
        summary="Simulated multi-site clinical trial of a fictional treatment: one site's arm, eight covariates.",
        description=f"{rows} simulated participants drawn from a documented formula; outcome: response.",
        modality="tabular",
        origin=_ARM_ORIGIN,
        access=access,
        cohort_size=rows,
        keywords=("clinical trial", "simulated", "treatment response"),
        measures=measures,
    )


_ALGORITHM_WORDS: Mapping[Algorithm, str] = {"forest": "random forest", "svc": "support vector"}


def _arm_model(
    organization: str,
    algorithm: Algorithm,
    access: Access,
    *,
    name: str,
    base: Named | None = None,
    measured_at: str | None = None,
) -> ModelPlan:
    return ModelPlan(
        name=name,
        title=f"Treatment response, {_ALGORITHM_WORDS.get(algorithm, algorithm)} model of {organization}",
        summary="Predicts the response to the fictional treatment from eight covariates at enrolment.",
        source=f"arm:{organization}",
        algorithm=algorithm,
        access=access,
        dataset="respire-sim-arm",
        keywords=("treatment response", "simulated"),
        base=base,
        measured_at=measured_at,
    )


def _carried(source: str, title: str, summary: str, access: Access, *, modality: str = "tabular") -> DatasetPlan:
    described = "Carried by scikit-learn; see the origin."
    return DatasetPlan(source, source, title, summary, described, modality, _ORIGIN[source], access)


def catalogue_of(organization: str, members: Mapping[str, str], home: str, now: int) -> Catalogue:
    """Return what `organization` registers.

    `members` maps a person of the demonstration to that person's pseudonym at the home organization; agreements and
    approvals name members by (home organization, pseudonym), never by name.
    """
    match organization:
        case "alma-university":
            return _alma()
        case "north-hospital":
            return _north(members, home, now)
        case _:
            return _vitalis(members, home, now)


def _alma() -> Catalogue:
    listed = Access(sensitivity=REGISTERED)
    wine = _carried("wine", "Wine recognition", "Chemical analysis of wines from three cultivars.", Access())
    digits = _carried("digits", "Handwritten digits", "Small images of handwritten digits.", Access(), modality="image")
    return Catalogue(
        (_arm("alma-university", listed), wine, digits),
        (
            _arm_model("alma-university", "logistic", listed, name="response-logistic", measured_at="north-hospital"),
            ModelPlan("wine-svc", "Wine cultivar classifier", "Names the cultivar.", "wine", "svc", Access(), "wine"),
            ModelPlan("digits-svc", "Digit reader", "Reads one digit.", "digits", "svc", Access(), "digits"),
        ),
    )


def _north(members: Mapping[str, str], home: str, now: int) -> Catalogue:
    agreement = "dua-respire-sim"
    approvals = ("irb-analyst", "irb-investigator")
    shown = Access(
        CONTROLLED,
        HMB,
        (IRB,),
        (agreement,),
        approvals,
        discoverable="summary",
        summary_metrics=True,
        relay_may_read=False,
    )
    unlisted = Access(CONTROLLED, HMB, (IRB, NCU), (agreement,), approvals, relay_may_read=False)
    open_record = Access(REGISTERED, HMB)
    tumour = _carried(
        "breast-cancer", "Breast cancer Wisconsin", "Cell nuclei measured in images of breast masses.", open_record
    )
    return Catalogue(
        (_arm("north-hospital", shown, measures=SHARED_MODEL), tumour),
        (
            _arm_model("north-hospital", "logistic", shown, name="response-logistic"),
            _arm_model("north-hospital", "forest", unlisted, name="response-forest"),
            ModelPlan(
                "tumour-logistic",
                "Breast mass classifier",
                "Separates benign from malignant masses; not for clinical use.",
                "breast-cancer",
                "logistic",
                open_record,
                "breast-cancer",
            ),
        ),
        (_agreement(agreement, "north-hospital", members, home, now),),
        (
            _approval("irb-analyst", members["trial-analyst"], home, now - 60 * DAY_S, now + 300 * DAY_S),
            _approval("irb-investigator", members["lapsed-investigator"], home, now - 400 * DAY_S, now - 35 * DAY_S),
        ),
    )


def _vitalis(members: Mapping[str, str], home: str, now: int) -> Catalogue:
    agreement = "dua-respire-sim"
    closed = Access(CONTROLLED, HMB, (), (agreement,), relay_may_read=False)
    open_record = Access(REGISTERED, GRU, (NPU,))
    diabetes = _carried("diabetes", "Diabetes progression", "Ten baseline variables and one outcome.", Access())
    return Catalogue(
        (_arm("vitalis", closed), diabetes),
        (
            _arm_model("vitalis", "logistic", closed, name="response-logistic", base=SHARED_MODEL),
            _arm_model("vitalis", "svc", closed, name="response-svc"),
            ModelPlan(
                "diabetes-ridge",
                "Diabetes progression, linear",
                "Predicts progression after one year.",
                "diabetes",
                "ridge",
                open_record,
                "diabetes",
            ),
        ),
        (_agreement(agreement, "vitalis", members, home, now),),
    )


def _agreement(name: str, owner: str, members: Mapping[str, str], home: str, now: int) -> JsonObject:
    named: list[Json] = [
        {"organization": home, "pseudonym": members[person]} for person in ("trial-analyst", "lapsed-investigator")
    ]
    return {
        "type": "agreement",
        "id": name,
        "title": f"RESPIRE-SIM consortium data use agreement ({owner})",
        "parties": [owner, home],
        "members": named,
        "purposes": ["HMB", "MDS"],
        "valid_from": now - 200 * DAY_S,
        "valid_until": now + 165 * DAY_S,
        "status": "active",
        "document_digest": sha256_hex(_PAPER),
        "contact": f"contracts office, {owner}",
    }


def _approval(name: str, pseudonym: str, home: str, approved_at: int, expires_at: int) -> JsonObject:
    return {
        "type": "approval",
        "id": name,
        "board": "Research ethics board (fictional)",
        "protocol": "RESPIRE-SIM-01",
        "holders": [{"organization": home, "pseudonym": pseudonym}],
        "purposes": ["HMB"],
        "approved_at": approved_at,
        "expires_at": expires_at,
        "status": "active",
        "document_digest": sha256_hex(_PAPER),
    }


def ndjson_lines(catalogue: Catalogue, *, created: str, id_of: IdOf) -> Iterator[JsonObject]:
    """Train every model of the catalogue and yield its import lines, data sets before the models that use them."""
    yield from catalogue.agreements
    yield from catalogue.approvals
    for dataset in catalogue.datasets:
        yield _dataset_line(dataset, created, id_of)
    for model in catalogue.models:
        base = None if model.base is None else f"arm:{model.base.organization}"
        elsewhere = None if model.measured_at is None else f"arm:{model.measured_at}"
        trained = train(model.source, model.algorithm, base=base, elsewhere=elsewhere)
        yield _model_line(model, trained, catalogue, created, id_of)


def _dataset_line(plan: DatasetPlan, created: str, id_of: IdOf) -> JsonObject:
    return {
        "type": "croissant",
        "local_name": plan.name,
        "croissant": croissant_description(plan, created),
        "modality": plan.modality,
        "cohort_size": plan.cohort_size,
        "contact": "data steward",
        "lineage": [] if plan.measures is None else [edge_line("evaluation_data_of", plan.measures, id_of)],
        "policy": plan.access.to_json(),
    }


def croissant_description(plan: DatasetPlan, created: str) -> JsonObject:
    """Return the Croissant 1.1 description with which a data set of the demonstration is registered."""
    file: JsonObject = {
        "@type": "cr:FileObject",
        "@id": "data",
        "name": "data",
        "description": "Made in memory when the demonstration starts; there is nothing to download.",
        "contentUrl": f"urn:concordat-demo:{plan.name}",
        "encodingFormat": "application/octet-stream",
        "sha256": data_digest(plan.source),
    }
    return {
        "@context": CROISSANT_CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        "name": plan.title,
        "abstract": plan.summary,
        "description": plan.description,
        "keywords": list(plan.keywords),
        "license": "CC-BY-4.0",
        "creditText": plan.origin,
        "creator": {"@type": "sc:Organization", "name": "Concordat demonstration"},
        "url": f"urn:concordat-demo:{plan.name}",
        "datePublished": created,
        "citeAs": f"{plan.title}. {plan.origin}.",
        "version": "1",
        "distribution": [file],
    }


def _model_line(plan: ModelPlan, trained: Trained, catalogue: Catalogue, created: str, id_of: IdOf) -> JsonObject:
    dataset = next(item for item in catalogue.datasets if item.name == plan.dataset)
    elsewhere = f"RESPIRE-SIM trial, arm of {plan.measured_at}"
    evaluations: list[Json] = [
        {
            "metric": measured.metric,
            "value": measured.value,
            "unit": None,
            "dataset": elsewhere if measured.split == "external" else dataset.title,
            "dataset_id": id_of(ARM_OF_NORTH) if measured.split == "external" else plan.dataset,
            "split": measured.split,
            "interval_low": measured.interval_low,
            "interval_high": measured.interval_high,
            "version": version.label,
        }
        for version in trained.versions
        for measured in version.evaluations
    ]
    return {
        "type": "model",
        "local_name": plan.name,
        "title": plan.title,
        "summary": plan.summary,
        "lineage": [] if plan.base is None else [edge_line("fine_tuned_from", plan.base, id_of)],
        "description": f"Trained when the demonstration started, on {trained.rows} rows with a held-out share of 30 %.",
        "keywords": list(plan.keywords),
        "task": "tabular-regression" if plan.algorithm == "ridge" else "classification",
        "framework": "scikit-learn",
        "modality": dataset.modality,
        "license": "CC-BY-4.0",
        "origin": dataset.origin,
        "created": created,
        "versions": [
            {"label": version.label, "released": created, "digest": version.digest, "changes": version.changes}
            for version in trained.versions
        ],
        "contact": "model steward",
        "evaluations": evaluations,
        "trained_on": [plan.dataset],
        "policy": plan.access.to_json(),
    }
