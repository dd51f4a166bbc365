# METADATA
# title: Who may talk to the policy engine
# description: |
#   The node alone, with the token of this one process, may ask for decisions and for health. Nobody may read or change
#   policies, data or configuration.
package system.authz

# METADATA
# title: Allow the request
# description: Everything else is refused, also with the token.
# scope: document
default allow := false

allow if {
	_is_node
	input.method == "POST"
	array.slice(input.path, 0, 3) == ["v1", "data", "concordat"]
	count(input.path) > 3
}

allow if {
	_is_node
	input.method == "GET"
	input.path == ["health"]
}

_is_node if {
	is_string(input.identity)
	input.identity != ""
	input.identity == data.concordat_private.token
}
