# METADATA
# title: Disclosure
# description: |
#   What a requester may see of each policy class: the rules that the node asks for. Everything is denied that is not
#   permitted by every condition; a condition that cannot be worked out is not met.
# schemas:
#   - input: schema.input
package concordat.disclosure

import data.concordat.agreement
import data.concordat.approval
import data.concordat.attributes
import data.concordat.clearance
import data.concordat.duo
import data.concordat.purpose
import data.concordat.sign_in
import data.concordat.status

# METADATA
# title: The decision of each class
# description: DESIGN section 5, "Decision document". One per key of `input.classes`.
# entrypoint: true
decisions := {id: decision(r) | some id, r in input.classes}

# METADATA
# title: The decision of each record of a page
# description: The same function over the records' current attributes, in the order of `input.page`.
# entrypoint: true
page := [decision(r) | some r in input.page]

# METADATA
# title: The decision of one class
# description: |
#   Any refusal denies. Conditions that somebody can grant, and modifiers that a committee must read, leave a summary
#   where the owner lets the class be discovered. Nothing open leaves everything.
# scope: document
default decision(_) := {
	"verdict": "deny",
	"level": "NONE",
	"masks": {},
	"obligations": [],
	"reasons": [{"code": "undecided", "public": false}],
	"missing": [],
	"agreement_ids": [],
	"relay_may_read": false,
	"valid_until": null,
}

decision(r) := _denied(refusals(r)) if not _admissible(r)

decision(r) := _denied(open_conditions(r)) if {
	_admissible(r)
	not _unconditional(r)
	r.discoverable == "none"
}

decision(r) := {
	"verdict": "review",
	"level": "SUMMARY",
	"masks": masks_at_summary(r),
	"obligations": [],
	"reasons": _reasons(open, true),
	"missing": [{"code": code, "who_can_grant": _grantor(code)} | some code in open],
	"agreement_ids": [],
	"relay_may_read": relay_may_read(r),
	"valid_until": null,
} if {
	_admissible(r)
	not _unconditional(r)
	open := open_conditions(r)
	r.discoverable == "summary"
}

decision(r) := {
	"verdict": "permit",
	"level": "FULL",
	"masks": masks_at_full(r),
	"obligations": obligations(r),
	"reasons": _reasons(_grounds(r), true),
	"missing": [],
	"agreement_ids": agreement.chosen(r),
	"relay_may_read": relay_may_read(r),
	"valid_until": _valid_until(r),
} if {
	_admissible(r)
	_unconditional(r)
}

_denied(codes) := {
	"verdict": "deny",
	"level": "NONE",
	"masks": {},
	"obligations": [],
	"reasons": _reasons(codes, false),
	"missing": [],
	"agreement_ids": [],
	"relay_may_read": false,
	"valid_until": null,
}

# METADATA
# title: Why nothing may be seen
# description: The codes of the conditions that nobody can grant and that are not met. Never public.
refusals(r) := {code | some code in _refusal_codes; not _holds(code, r)}

# METADATA
# title: What is open
# description: The codes of the conditions that are not met and that somebody can grant.
open_conditions(r) := union({
	{agreement.missing_code(r) | not agreement.met(r)},
	{approval.missing_code(r) | not approval.met(r)},
	{"modifier_review" | not duo.understood(r)},
	{"sign_in_old" | not sign_in.recent(r)},
	{"sign_in_weak" | not sign_in.strong(r)},
})

# METADATA
# title: Whether a relay may read the record
# description: DESIGN section 3, step 6. The owner's word, and only for public and registered classes.
# scope: document
default relay_may_read(_) := false

relay_may_read(r) if {
	r.relay_may_read == true
	r.sensitivity in {0, 1}
}

# Every condition that nobody can grant. Stated positively: a condition that cannot be worked out is not met.
_admissible(r) if {
	attributes.well_formed(r)
	purpose.admitted
	status.active(r)
	status.embargo_over(r)
	clearance.sufficient(r)
	duo.permitted(r)
	duo.organization_allowed(r)
	duo.use_allowed(r)
	duo.country_allowed(r)
	duo.time_allowed(r)
}

# Every condition that somebody can grant. Stated positively: a condition that cannot be worked out is open.
_unconditional(r) if {
	agreement.met(r)
	approval.met(r)
	duo.understood(r)
	sign_in.recent(r)
	sign_in.strong(r)
}

_refusal_codes := {
	"class_malformed",
	"clearance_too_low",
	"country_not_allowed",
	"not_active",
	"organization_not_allowed",
	"purpose_not_admitted",
	"purpose_not_permitted",
	"time_limit_passed",
	"under_embargo",
	"use_not_allowed",
}

_holds("class_malformed", r) if attributes.well_formed(r)

_holds("clearance_too_low", r) if clearance.sufficient(r)

_holds("country_not_allowed", r) if duo.country_allowed(r)

_holds("not_active", r) if status.active(r)

_holds("organization_not_allowed", r) if duo.organization_allowed(r)

_holds("purpose_not_admitted", _) if purpose.admitted

_holds("purpose_not_permitted", r) if duo.permitted(r)

_holds("time_limit_passed", r) if duo.time_allowed(r)

_holds("under_embargo", r) if status.embargo_over(r)

_holds("use_not_allowed", r) if duo.use_allowed(r)

_grounds(r) := grounds if {
	grounds := array.concat(
		["agreement_covers" | count(agreement.chosen(r)) > 0],
		["approval_covers" | approval.needed(r)],
	)
	count(grounds) > 0
} else := ["open_use"]

_grantor(code) := "data_owner" if startswith(code, "agreement_")

_grantor(code) := "ethics_board" if startswith(code, "approval_")

_grantor("modifier_review") := "data_access_committee"

_grantor("sign_in_old") := "requester"

_grantor("sign_in_weak") := "requester"

_reasons(codes, public) := [{"code": code, "public": public} | some code in codes]

_valid_until(r) := earliest if {
	earliest := min(_ends(r))
} else := null

_ends(r) := union({
	{input.agreements[id].valid_until | some id in agreement.chosen(r)},
	{input.approvals[id].expires_at | some id in approval.chosen(r)},
	agreement.granted_until(r),
	duo.time_limits(r),
	sign_in.ends(r),
})
