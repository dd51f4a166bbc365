# METADATA
# title: Ethics approvals
# description: |
#   Whether the requester holds an approval that the owner has on record for this class, for this purpose, now. An
#   approval that a class does not name opens nothing of it: a board approves one protocol, not every use.
# schemas:
#   - input: schema.input
package concordat.approval

import data.concordat.duo

# METADATA
# title: The class needs an ethics approval
# description: It names approvals, or has DUO:0000021; needed unless both say otherwise.
# scope: document
default needed(_) := true

needed(r) := false if {
	r.approvals == []
	not duo.approval_required(r)
}

# METADATA
# title: The class needs no approval, or the requester holds one of those it names
# description: DUO:0000021 on a class that names none is met by nobody.
# scope: document
default met(_) := false

met(r) if not needed(r)

met(r) if count(chosen(r)) == 1

# METADATA
# title: The approval used
# description: |
#   A list of the one approval of the class that is relied on, the one that expires last; empty when none is usable.
chosen(r) := [longest |
	longest := max([[input.approvals[id].expires_at, id] | some id in r.approvals; _states[id] == "usable"])[1]
]

# METADATA
# title: Why no approval is usable
# description: The code of what comes closest; `approval_missing` when no approval of the class names the requester.
missing_code(r) := concat("_", ["approval", _closest(r)])

_closest(r) := states[0] if {
	found := {_states[id] | some id in r.approvals}
	states := [state | some state in _by_closeness; state in found]
} else := "missing"

_by_closeness := ["expired", "not_yet_valid", "purpose", "revoked"]

# The state of each approval for this requester and purpose, worked out once for all classes.
_states[id] := _state(approval) if some id, approval in input.approvals

_state(approval) := "usable" if {
	_held(approval)
	approval.status == "active"
	input.purpose.code in approval.purposes
	is_number(approval.approved_at)
	is_number(approval.expires_at)
	approval.approved_at <= input.now
	input.now < approval.expires_at # the second of expiry is already too late
} else := "missing" if {
	not _held(approval)
} else := "revoked" if {
	approval.status != "active"
} else := "purpose" if {
	not input.purpose.code in approval.purposes
} else := "not_yet_valid" if {
	input.now < approval.approved_at
} else := "expired" if {
	approval.expires_at <= input.now
} else := "missing"

_held(approval) if {
	some holder in approval.holders
	holder.organization == input.requester.organization
	_named(holder.pseudonym)
}

# null stands for everybody of the organization; a field that is not there names nobody.
_named(pseudonym) if pseudonym in {null, input.requester.pseudonym}
