"""The words a sentence may use for what a filter can say.

Everything is matched case-insensitively, the longest phrase first. A word that is not here is never guessed at: it
stays text. Metric names are what registries write; where they differ (`auc`, `auroc`), a phrase stands for all of them.
"""

from __future__ import annotations

from concordat_trust.filters import Comparison

KINDS: dict[tuple[str, ...], str] = {
    ("model",): "model",
    ("models",): "model",
    ("dataset",): "dataset",
    ("datasets",): "dataset",
    ("data-set",): "dataset",
    ("data-sets",): "dataset",
    ("data", "set"): "dataset",
    ("data", "sets"): "dataset",
}
PLURALS = ("models", "datasets", "data-sets", "sets")

TRAINED_ON: dict[tuple[str, ...], bool] = {
    ("trained", "on"): True,
    ("trained", "upon"): True,
    ("trained", "not", "on"): False,
}
"""Phrase → whether it affirms."""

COMPARATORS: dict[tuple[str, ...], Comparison] = {
    (">",): "gt",
    ("above",): "gt",
    ("over",): "gt",
    ("exceeding",): "gt",
    ("beyond",): "gt",
    ("greater", "than"): "gt",
    ("more", "than"): "gt",
    ("better", "than"): "gt",
    ("higher", "than"): "gt",
    (">=",): "ge",
    ("≥",): "ge",
    ("at", "least"): "ge",
    ("not", "below"): "ge",
    ("not", "under"): "ge",
    ("no", "less", "than"): "ge",
    ("not", "less", "than"): "ge",
    ("<",): "lt",
    ("below",): "lt",
    ("under",): "lt",
    ("less", "than"): "lt",
    ("lower", "than"): "lt",
    ("smaller", "than"): "lt",
    ("<=",): "le",
    ("≤",): "le",
    ("at", "most"): "le",
    ("up", "to"): "le",
    ("not", "above"): "le",
    ("not", "over"): "le",
    ("no", "more", "than"): "le",
    ("not", "more", "than"): "le",
    ("=",): "eq",
    ("equal", "to"): "eq",
    ("exactly",): "eq",
}
SYMBOLS: dict[str, Comparison] = {">": "gt", ">=": "ge", "≥": "ge", "<": "lt", "<=": "le", "≤": "le", "=": "eq"}
COMPARISON_WORDS: dict[Comparison, str] = {
    "gt": "above",
    "ge": "at least",
    "lt": "below",
    "le": "at most",
    "eq": "exactly",
}

_AUROC = ("auroc", "auc", "roc_auc")
_F1 = ("f1", "f1_score")
METRICS: dict[tuple[str, ...], tuple[str, ...]] = {
    ("accuracy",): ("accuracy",),
    ("balanced", "accuracy"): ("balanced_accuracy",),
    ("auroc",): _AUROC,
    ("auc",): _AUROC,
    ("roc", "auc"): _AUROC,
    ("roc-auc",): _AUROC,
    ("area", "under", "the", "curve"): _AUROC,
    ("auprc",): ("auprc", "average_precision"),
    ("average", "precision"): ("auprc", "average_precision"),
    ("precision",): ("precision",),
    ("recall",): ("recall",),
    ("sensitivity",): ("sensitivity",),
    ("specificity",): ("specificity",),
    ("f1",): _F1,
    ("f1-score",): _F1,
    ("f1", "score"): _F1,
    ("dice",): ("dice",),
    ("iou",): ("iou",),
    ("r2",): ("r2",),
    ("rmse",): ("rmse",),
    ("mae",): ("mae",),
    ("mse",): ("mse",),
    ("log", "loss"): ("log_loss",),
    ("brier", "score"): ("brier_score",),
}

BETWEEN_METRIC_AND_COMPARATOR = frozenset({"of", "is", "being", "score", "value", "was", "are"})
PERCENT = frozenset({"percent", "percents", "pct"})
LEADS = frozenset(
    {
        *("find", "show", "list", "get", "give", "search", "me", "us", "all"),
        *("any", "every", "some", "the", "for", "please", "which", "what", "i"),
        *("want", "need", "would", "like", "to"),
    }
)
CONNECTORS = frozenset(
    {
        *("and", "with", "having", "have", "had", "has", "that", "which", "whose"),
        *("where", "is", "are", "was", "were", "been", "be", "a", "an"),
        *("the", "their", "its", ",", ";", "but", "also", "&"),
    }
)
TOPIC = frozenset({"about", "regarding", "concerning"})
AFTER_KIND = frozenset(
    {
        *("about", "regarding", "concerning", "for", "of", "in", "on", "from", "by"),
        *("at", "to", "using", "under", "over", "within", "without", "not", "never"),
        *("trained", "evaluated", "tested", "validated", "developed", "published", "created", "made", "built"),
        *("released",),
    }
)
CLAUSES = frozenset(
    {
        *("evaluated", "tested", "validated", "developed", "published", "created", "made", "built", "released"),
        *("fine-tuned", "pretrained", "pre-trained", "available", "shared", "hosted", "used", "from", "by"),
    }
)
BEFORE_NO_HEAD = frozenset({"of", "for", "in", "on", "from", "by", *TOPIC})
"""A kind word after one of these belongs to the topic ("the accuracy of models"), unless only a lead came before."""
NEGATORS = frozenset({"not", "never", "without", "excluding", "except", "no"})
"""Directly before a condition these negate it."""
OTHER_NEGATIONS = frozenset(
    {
        *("non", "nor", "neither", "isn't", "aren't", "don't", "doesn't", "weren't", "only"),
        *("hardly",),
    }
)
"""Before a condition these mean something a filter cannot say; the condition then stays text."""
ALTERNATIVES = frozenset({"or", "and/or"})
