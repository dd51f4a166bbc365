"""Small models, really trained when the demonstration starts, and what was measured of them.

The data sets are those that scikit-learn carries, with their true origin stated, and one *simulated* multi-site trial:
each organization draws its own arm from a known formula and trains on it. Nothing here is patient data. Every number in
the catalogue was measured here, and says on which split.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

import numpy as np
from sklearn import datasets
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

from concordat_trust.encoding import sha256_hex

Array = np.ndarray[Any, Any]
Algorithm = Literal["logistic", "forest", "svc", "ridge"]
TEST_SHARE = 0.3
ARM_PARTICIPANTS = {"alma-university": 620, "north-hospital": 840, "vitalis": 560}
_Z95 = 1.959964


@dataclass(frozen=True, slots=True)
class Measured:
    """One evaluation: decimal strings with four places; an interval only on the test split (Wilson, 95 %)."""

    metric: str
    value: str
    split: Literal["train", "test", "external"]
    interval_low: str | None = None
    interval_high: str | None = None


@dataclass(frozen=True, slots=True)
class TrainedVersion:
    """One version of a model: what it was fitted on, what was measured of it, and its artefact's SHA-256 (hex)."""

    label: str
    changes: str
    digest: str
    evaluations: tuple[Measured, ...]


@dataclass(frozen=True, slots=True)
class Trained:
    """What training one model gave: a first version on half of the fitting rows, then one on all of them."""

    versions: tuple[TrainedVersion, ...]
    rows: int


def simulated_arm(organization: str) -> tuple[Array, Array]:
    """Return (covariates, response) of one arm of the simulated trial; the same for every run.

    Response follows a logistic rule over five covariates with little noise, so that a simple model reaches about 95 %.
    """
    rows = ARM_PARTICIPANTS[organization]
    generator = np.random.default_rng(sum(organization.encode()))
    covariates = generator.normal(size=(rows, 8))
    weights = np.array([2.4, -1.9, 1.6, 1.2, -1.1, 0.0, 0.0, 0.0])
    noise = generator.logistic(scale=0.18, size=rows)
    return covariates, (covariates @ weights + noise > 0).astype(int)


_SOURCES: dict[str, Callable[[], tuple[Array, Array]]] = {
    "breast-cancer": lambda: datasets.load_breast_cancer(return_X_y=True),
    "wine": lambda: datasets.load_wine(return_X_y=True),
    "digits": lambda: datasets.load_digits(return_X_y=True),
    "diabetes": lambda: datasets.load_diabetes(return_X_y=True),
}


def load(source: str) -> tuple[Array, Array]:
    """Return (features, target) of a carried data set, or of `arm:ORGANIZATION`."""
    if source.startswith("arm:"):
        return simulated_arm(source.removeprefix("arm:"))
    return _SOURCES[source]()


def _estimator(algorithm: Algorithm) -> Any:
    match algorithm:
        case "logistic":
            return make_pipeline(StandardScaler(), LogisticRegression(max_iter=500, random_state=0))
        case "forest":
            return RandomForestClassifier(n_estimators=80, random_state=0)
        case "svc":
            return make_pipeline(StandardScaler(), SVC(random_state=0))
        case "ridge":
            return make_pipeline(StandardScaler(), Ridge(alpha=1.0))


def train(source: str, algorithm: Algorithm, *, base: str | None = None, elsewhere: str | None = None) -> Trained:
    """Fit both versions of a model and measure them on the same held-out rows.

    With `base` a logistic model starts from the weights, and in the scale, of the one fitted to that source; with
    `elsewhere` the last version is also measured on all rows of that source.
    """
    features, target = load(source)
    stratify = None if algorithm == "ridge" else target
    fit_x, test_x, fit_y, test_y = train_test_split(
        features, target, test_size=TEST_SHARE, random_state=0, stratify=stratify
    )
    versions = []
    for label, rows in (("1.0.0", len(fit_y) // 2), ("1.1.0", len(fit_y))):
        fit = (fit_x[:rows], fit_y[:rows])
        model = (_estimator(algorithm) if base is None else _warm(base)).fit(*fit)
        digest = sha256_hex(pickle.dumps(model, protocol=5))
        measured = _measured(model, algorithm, fit, (test_x, test_y))
        if elsewhere is not None and rows == len(fit_y):
            measured = (*measured, _measured_elsewhere(model, elsewhere))
        versions.append(TrainedVersion(label, f"Fitted on {rows} rows.", digest, measured))
    return Trained(tuple(versions), len(target))


def _measured(
    model: Any, algorithm: Algorithm, fit: tuple[Array, Array], test: tuple[Array, Array]
) -> tuple[Measured, ...]:
    test_x, test_y = test
    if algorithm == "ridge":
        return (Measured("r2", _decimal(model.score(test_x, test_y)), "test"),)
    right = int((model.predict(test_x) == test_y).sum())
    fitted = int((model.predict(fit[0]) == fit[1]).sum())
    return _accuracy(right, len(test_y)), Measured("accuracy", _decimal(fitted / len(fit[1])), "train")


def _warm(base: str) -> Any:
    """Return an estimator that goes on from the logistic model of `base`: fine-tuning, in the small."""
    features, target = load(base)
    scaler = StandardScaler().fit(features)
    weights = LogisticRegression(max_iter=500, random_state=0, warm_start=True).fit(scaler.transform(features), target)
    return make_pipeline(FunctionTransformer(scaler.transform), weights)


def _measured_elsewhere(model: Any, source: str) -> Measured:
    features, target = load(source)
    return Measured("accuracy", _decimal((model.predict(features) == target).mean()), "external")


def data_digest(source: str) -> str:
    """Return the SHA-256 (hex) of a data set's features and target, as they lie in memory."""
    features, target = load(source)
    return sha256_hex(np.ascontiguousarray(features).tobytes() + np.ascontiguousarray(target).tobytes())


def _accuracy(right: int, rows: int) -> Measured:
    share, square = right / rows, _Z95**2
    centre = (share + square / (2 * rows)) / (1 + square / rows)
    half = _Z95 / (1 + square / rows) * np.sqrt(share * (1 - share) / rows + square / (4 * rows**2))
    return Measured("accuracy", _decimal(share), "test", _decimal(centre - half), _decimal(centre + half))


def _decimal(value: float) -> str:
    return str(Decimal(repr(float(value))).quantize(Decimal("0.0001")))
