package concordat.disclosure

_hide := {"op": "hide"}

_summary_hides := {"description", "cohort_size", "contact", "versions"}

# METADATA
# title: The fields hidden at SUMMARY
# description: |
#   DESIGN section 5, "Disclosure ladder". Evaluations, and what a model was trained on, are hidden too unless the owner
#   publishes the metrics of what can be discovered: a metric says little without its data. At FULL nothing is hidden by
#   the baseline.
masks_at_summary(r) := _masks_with_metrics if {
	r.summary_metrics == true
} else := _masks

_masks_with_metrics := {field: _hide | some field in _summary_hides}

_masks := object.union(_masks_with_metrics, {"evaluations": _hide, "trained_on": _hide})
