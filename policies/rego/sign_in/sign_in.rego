# METADATA
# title: Sign-in
# description: |
#   How recent and how strong the requester's sign-in must be for sensitive classes. The owner's node demands it; the
#   requester's own organization says when and how (`auth_time`, `acr` of OpenID Connect), within what the keyholders let
#   it say.
# schemas:
#   - input: schema.input
package concordat.sign_in

# METADATA
# title: The sign-in is recent enough
# description: |
#   Both sides must be numbers: without a time of sign-in nobody has signed in recently. A class below the demanded
#   sensitivity, and a node that demands nothing, need no recent one.
# scope: document
default recent(_) := false

recent(r) if _below(r)

recent(r) if {
	_sensitive(r)
	input.node.sign_in.age_max_s == 0
}

recent(r) if {
	_sensitive(r)
	input.now < _until
}

# METADATA
# title: The sign-in is strong enough
# description: One of the demanded values of `acr`; a node that demands none needs none.
# scope: document
default strong(_) := false

strong(r) if _below(r)

strong(r) if {
	_sensitive(r)
	input.node.sign_in.acr_values == []
}

strong(r) if {
	_sensitive(r)
	is_string(input.requester.acr)
	input.requester.acr in input.node.sign_in.acr_values
}

# METADATA
# title: When the sign-in is no longer recent
# description: The second at which a decision that rests on it ends; none where no recent one is demanded.
ends(r) := {_until | _sensitive(r)}

_until := input.requester.auth_time + input.node.sign_in.age_max_s if {
	is_number(input.node.sign_in.age_max_s)
	input.node.sign_in.age_max_s > 0
	is_number(input.requester.auth_time)
}

_levels := {0, 1, 2, 3}

_below(r) if {
	r.sensitivity in _levels
	input.node.sign_in.sensitivity_min in _levels
	r.sensitivity < input.node.sign_in.sensitivity_min
}

_sensitive(r) if {
	r.sensitivity in _levels
	input.node.sign_in.sensitivity_min in _levels
	r.sensitivity >= input.node.sign_in.sensitivity_min
}
