package concordat.disclosure

_hide := {"op": "hide"}

_summary_hides := {"description", "cohort_size", "contact", "versions"}

# METADATA
# title: The fields hidden at SUMMARY
# description: |
#   DESIGN section 5, "Disclosure ladder". Evaluations, what a model was trained on, and all other lineage are hidden too
#   unless the owner publishes the metrics of what can be discovered: a metric says little without its data.
masks_at_summary(r) := object.union(_masks_with_metrics, masks_at_full(r)) if {
	r.summary_metrics == true
} else := _masks

# METADATA
# title: The fields hidden at FULL
# description: |
#   DESIGN section 7, lineage. An id of somebody else's asset is a disclosure of its own, and that nothing is left out is
#   another: each is hidden unless the owner lets it be told. Nothing else is hidden at FULL by the baseline.
masks_at_full(r) := {field: _hide | some field in {"lineage", "complete"}; not _tells(field, r)}

# Stated positively: what is not known to be told is hidden.
_tells("lineage", r) if r.lineage in {"open", "complete"}

_tells("complete", r) if r.lineage == "complete"

_masks_with_metrics := {field: _hide | some field in _summary_hides}

_masks := object.union(
	_masks_with_metrics,
	{field: _hide | some field in {"evaluations", "trained_on", "lineage", "complete"}},
)
