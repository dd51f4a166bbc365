"""Writes trust/concordat_trust/data/public_statistics.json from sentences made here.

The documents are combinations of the word lists below, in a fixed order without any randomness: plain descriptions of
data sets and models such as a catalogue would carry. Nothing is taken from a record, a person or a publication.

    python tools/build_public_statistics.py          write the table
    python tools/build_public_statistics.py --check  exit 7 when the committed table is another one
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from concordat_trust.statistics_build import build_statistics
from concordat_trust.text import RecordTexts, TermStatistics

TABLE = Path(__file__).resolve().parent.parent / "trust" / "concordat_trust" / "data" / "public_statistics.json"
DOCUMENTS = 480
FINDING = 7

TOPICS = (
    "breast cancer",
    "diabetes progression",
    "lung nodules",
    "heart failure",
    "stroke outcome",
    "sepsis",
    "asthma",
    "prostate cancer",
    "kidney disease",
    "retinopathy",
    "skin lesions",
    "dementia",
    "epilepsy",
    "hypertension",
    "colorectal polyps",
    "bone fractures",
    "liver fibrosis",
    "preterm birth",
    "depression",
    "antibiotic resistance",
    "rare variants",
    "blood counts",
    "wine chemistry",
    "handwritten digits",
    "iris flowers",
    "house prices",
    "hospital readmission",
    "length of stay",
    "medication adherence",
    "adverse events",
    "wound healing",
    "sleep apnea",
    "thyroid function",
    "cardiac arrhythmia",
    "tumour response",
    "vaccine response",
    "physical exercise",
    "chronic pain",
    "nutrition",
    "respiratory infection",
)
SOURCES = (
    ("clinical trial", "participants of a randomised controlled trial with several arms and sites"),
    ("registry", "patients of a national disease registry followed for years"),
    ("cohort", "a prospective cohort of volunteers recruited at university hospitals"),
    ("electronic health record", "routine electronic health records of one hospital, pseudonymised at the source"),
    ("imaging archive", "images of the radiology archive with reports of two readers"),
    ("biobank", "samples and questionnaires of a population biobank"),
    ("benchmark", "a public benchmark distributed with common software for teaching"),
    ("simulation", "simulated measurements drawn from published distributions"),
    ("laboratory", "laboratory measurements of blood and urine under one protocol"),
    ("claims", "insurance claims with diagnosis and procedure codes"),
    ("wearable sensors", "signals of wearable sensors sampled during daily life"),
    ("screening programme", "invitations and findings of a regional screening programme"),
)
METHODS = (
    "logistic regression",
    "random forest",
    "gradient boosting",
    "support vector machine",
    "convolutional neural network",
    "transformer",
    "linear regression",
    "nearest neighbours",
    "decision tree",
    "survival analysis",
    "ridge regression",
    "naive bayes",
    "multilayer perceptron",
    "gaussian process",
    "federated averaging",
    "self-supervised pretraining",
)
TASKS = (
    "classification",
    "regression",
    "segmentation",
    "detection",
    "risk prediction",
    "clustering",
    "survival prediction",
    "language understanding",
    "anomaly detection",
    "forecasting",
)
MODALITIES = (
    "tabular",
    "image",
    "text",
    "time series",
    "genomic",
    "audio",
    "signal",
    "magnetic resonance",
    "computed tomography",
    "histology",
)
METRICS = (
    "accuracy",
    "area under the curve",
    "sensitivity and specificity",
    "mean absolute error",
    "calibration",
    "recall",
    "precision",
    "mean squared error",
    "concordance",
    "dice overlap",
)
CONDITIONS = (
    "Use is limited to health research under a data use agreement.",
    "Access needs an ethics approval and a named project.",
    "Free for any research, with attribution to the authors.",
    "For non-profit organisations only; results must be published.",
    "Reuse follows the consent of the participants.",
    "Open licence, no restriction on use.",
    "Requests go to the data access committee of the custodian.",
    "Commercial use needs a separate contract.",
)
SPLITS = (
    "Evaluated on a held-out test set of one site.",
    "Evaluated with cross-validation and on an external validation set.",
    "Training, validation and test splits are stratified by outcome.",
    "The external test set comes from another hospital and country.",
    "Confidence intervals come from bootstrap samples.",
    "Missing values were imputed and features scaled before training.",
)


def documents() -> Iterator[RecordTexts]:
    """Yield the documents: two models for each data set, every list walked with its own stride."""
    for number in range(DOCUMENTS):
        yield _dataset(number) if number % 3 == 0 else _model(number)


def _dataset(n: int) -> RecordTexts:
    topic, (source, sentence) = TOPICS[n * 7 % len(TOPICS)], SOURCES[n * 5 % len(SOURCES)]
    modality, task = MODALITIES[n * 3 % len(MODALITIES)], TASKS[n // 3 % len(TASKS)]
    years = 2 + n % 9
    return RecordTexts(
        title=f"{topic.capitalize()} {source} data set",
        summary=f"A {modality} dataset on {topic} from {sentence}.",
        keywords=(topic, modality, source),
        description=(
            f"The data were collected over {years} years and describe {topic} with {modality} features and labels for "
            f"{task}. {SPLITS[n // 3 % len(SPLITS)]} {CONDITIONS[n // 3 % len(CONDITIONS)]}"
        ),
    )


def _model(n: int) -> RecordTexts:
    topic, (source, sentence) = TOPICS[n * 3 % len(TOPICS)], SOURCES[n % len(SOURCES)]
    method, task = METHODS[n * 5 % len(METHODS)], TASKS[n * 7 % len(TASKS)]
    modality, metric = MODALITIES[n // 2 % len(MODALITIES)], METRICS[n * 3 % len(METRICS)]
    return RecordTexts(
        title=f"{method.capitalize()} for {topic}",
        summary=f"A {task} model of {topic}, trained on {source} data.",
        keywords=(task, method, topic),
        description=(
            f"This model uses {method} on {modality} inputs from {sentence}. It reports {metric} for {task}. "
            f"{SPLITS[n % len(SPLITS)]} {CONDITIONS[n * 5 % len(CONDITIONS)]}"
        ),
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    arguments = parser.parse_args()
    data = build_statistics(documents())
    if arguments.check:
        is_same = TABLE.is_file() and TABLE.read_bytes() == data
        print("the table is up to date" if is_same else "the table differs; run the tool again")
        return 0 if is_same else FINDING
    TABLE.write_bytes(data)
    statistics = TermStatistics.parse(data)
    print(f"{statistics.documents} documents, {len(statistics.terms)} terms, revision {statistics.revision}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
