package system.authz_test

import data.system.authz

_request := {"identity": "secret", "method": "POST", "path": ["v1", "data", "concordat", "disclosure", "decisions"]}

_allowed(changes) if {
	authz.allow with input as object.union(_request, changes) with data.concordat_private.token as "secret"
}

test_the_node_may_ask_for_decisions if _allowed({})

test_the_node_may_ask_for_health if _allowed({"method": "GET", "path": ["health"]})

test_a_wrong_token_may_nothing if {
	not _allowed({"identity": "other"})
	not _allowed({"identity": "other", "method": "GET", "path": ["health"]})
	not _allowed({"identity": ""})
	not _allowed({"identity": null})
}

test_no_token_on_either_side_may_nothing if {
	not authz.allow with input as object.remove(_request, ["identity"])
	not authz.allow with input as object.union(_request, {"identity": ""}) with data.concordat_private.token as ""
	not authz.allow with input as object.union(_request, {"identity": null}) with data.concordat_private.token as null
}

test_nothing_else_may_be_done if {
	every request in [
		{"method": "GET"},
		{"method": "PUT"},
		{"method": "PATCH"},
		{"path": ["v1", "data", "concordat"]},
		{"path": ["v1", "data", "concordat_private", "token"]},
		{"path": ["v1", "data"]},
		{"path": ["v1", "query"]},
		{"path": ["v1", "compile"]},
		{"path": ["v1", "policies", "x"], "method": "PUT"},
		{"path": ["v1", "config"], "method": "GET"},
		{"path": ["health", "x"], "method": "GET"},
		{"path": ["health"]},
		{"path": []},
	] {
		not _allowed(request)
	}
}
