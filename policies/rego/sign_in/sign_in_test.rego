package concordat.sign_in_test

import data.concordat.example_test as example
import data.concordat.sign_in

_demand := {"age_max_s": 900, "acr_values": ["mfa"], "sensitivity_min": 2}

_request(demand, auth_time, acr) := json.patch(example.request, [
	{"op": "replace", "path": "/node/sign_in", "value": demand},
	{"op": "replace", "path": "/requester/auth_time", "value": auth_time},
	{"op": "replace", "path": "/requester/acr", "value": acr},
])

_recent(class, demand, auth_time) if {
	sign_in.recent(class) with input as _request(demand, auth_time, null)
}

_strong(class, demand, acr) if {
	sign_in.strong(class) with input as _request(demand, null, acr)
}

test_a_recent_sign_in_is_recent_until_its_age if {
	_recent(example.controlled, _demand, example.now - 899)
	not _recent(example.controlled, _demand, example.now - 900)
}

test_nobody_who_does_not_say_when_has_signed_in_recently if {
	every auth_time in [null, "1800000000", false] {
		not _recent(example.controlled, _demand, auth_time)
	}
}

test_a_class_below_needs_neither if {
	_recent(example.changed({"sensitivity": 1}), _demand, null)
	_strong(example.changed({"sensitivity": 1}), _demand, null)
}

test_no_demand_needs_neither if {
	_recent(example.controlled, object.union(_demand, {"age_max_s": 0}), null)
	_strong(example.controlled, object.union(_demand, {"acr_values": []}), null)
}

test_a_demand_that_cannot_be_read_is_not_met if {
	every demand in [{}, {"age_max_s": null, "acr_values": null, "sensitivity_min": 2}, {"age_max_s": 0, "acr_values": []}] {
		not _recent(example.controlled, demand, example.now)
		not _strong(example.controlled, demand, "mfa")
	}
	not _recent(example.changed({"sensitivity": null}), _demand, example.now)
	not _strong(example.changed({"sensitivity": null}), _demand, "mfa")
}

test_a_strong_sign_in_is_one_of_those_demanded if {
	_strong(example.controlled, _demand, "mfa")
	every acr in [null, "", "pwd", "MFA", 2] {
		not _strong(example.controlled, _demand, acr)
	}
}

test_a_sign_in_ends_only_where_one_is_demanded if {
	sign_in.ends(example.controlled) == {example.now + 800} with input as _request(_demand, example.now - 100, null)
	sign_in.ends(example.open) == set() with input as _request(_demand, example.now - 100, null)
	undemanded := object.union(_demand, {"age_max_s": 0})
	sign_in.ends(example.controlled) == set() with input as _request(undemanded, example.now - 100, null)
}
