# METADATA
# title: Data-use agreements
# description: |
#   Whether an agreement of the node's owner covers the requester, for this purpose, now. Membership is the owner's own
#   record, or a visa that the owner's own issuer signed; the home organization's word does not count.
# schemas:
#   - input: schema.input
package concordat.agreement

# METADATA
# title: The class can be used under an agreement, or needs none
# description: |
#   One usable agreement of the class is enough. A controlled or restricted class without any agreement is usable by
#   nobody: an empty set of agreements denies.
# scope: document
default met(_) := false

met(r) if _none_needed(r)

met(r) if count(chosen(r)) == 1

# METADATA
# title: The agreement used
# description: |
#   A list of the one agreement that is relied on: of the usable ones, the one that is valid longest, so that no further
#   agreement shortens `valid_until`. Empty when none is usable or none is needed.
chosen(r) := [longest |
	longest := max([[input.agreements[id].valid_until, id] | some id in r.agreements; _states[id] == "usable"])[1]
]

# METADATA
# title: When the visas end on which the used agreement rests
# description: The end of the longest visa, where the owner's own record does not name the requester; else nothing.
granted_until(r) := {max(_granting(input.agreements[id])) |
	some id in chosen(r)
	not _recorded(input.agreements[id])
}

# METADATA
# title: Why no agreement is usable
# description: The code of what comes closest; `agreement_missing` when no agreement of the class names the requester.
missing_code(r) := concat("_", ["agreement", _closest(r)])

_closest(r) := states[0] if {
	found := {_states[id] | some id in r.agreements}
	states := [state | some state in _by_closeness; state in found]
} else := "missing"

_by_closeness := ["expired", "not_yet_valid", "purpose", "revoked"]

_none_needed(r) if {
	r.agreements == []
	r.sensitivity in {0, 1}
}

# The state of each agreement for this requester and purpose, worked out once for all classes.
_states[id] := _state(agreement) if some id, agreement in input.agreements

_state(agreement) := "usable" if {
	_covers(agreement)
	agreement.status == "active"
	input.purpose.code in agreement.purposes
	is_number(agreement.valid_from)
	is_number(agreement.valid_until)
	agreement.valid_from <= input.now
	input.now < agreement.valid_until
} else := "missing" if {
	not _covers(agreement)
} else := "revoked" if {
	agreement.status != "active"
} else := "purpose" if {
	not input.purpose.code in agreement.purposes
} else := "not_yet_valid" if {
	input.now < agreement.valid_from
} else := "expired" if {
	agreement.valid_until <= input.now
} else := "missing"

# Only a named member is covered, or the holder of a grant. An agreement without either covers nobody: lost rows must
# close, not open.
_covers(agreement) if _recorded(agreement)

_covers(agreement) if count(_granting(agreement)) > 0

# The ends of the grants of the owner's own data access committee. GA4GH Passport, "ControlledAccessGrants". Only for
# people of a party: a home organization that got hold of another one's visa presents it in vain.
_granting(agreement) := {visa.expires_at |
	input.requester.organization in agreement.parties
	some visa in input.requester.visas
	visa.type == "ControlledAccessGrants"
	visa.by == "dac"
	visa.organization == input.node.organization
	visa.value == concat(":", ["urn:concordat", input.node.organization, "agreement", agreement.id])
	is_number(visa.expires_at)
	input.now < visa.expires_at
}

_recorded(agreement) if {
	some member in agreement.members
	member.organization == input.requester.organization
	_named(member.pseudonym)
}

# null stands for everybody of the organization; a field that is not there names nobody.
_named(pseudonym) if pseudonym in {null, input.requester.pseudonym}
