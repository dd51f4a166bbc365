package concordat.disclosure_test

import data.concordat.disclosure
import data.concordat.example_test as example

_none := {"mode": "none", "code": null, "contact": null}

_standing := {"mode": "standing", "code": "ask_us", "contact": "data-access@north-hospital.example"}

test_an_admitted_purpose_is_in_scope if {
	disclosure.scope == {"admitted": true, "code": null, "notice": _none} with input as example.request
}

test_another_purpose_is_not_in_scope if {
	disclosure.scope == {"admitted": false, "code": "purpose_not_admitted", "notice": _none} with input as example.requests(
		"/purpose/code",
		"POA",
	)
}

test_an_incomplete_requester_is_not_in_scope if {
	every change in [
		["/requester/clearance", null], ["/requester/clearance", 4], ["/requester/clearance", "2"],
		["/requester/organization", ""], ["/requester/organization", null],
		["/requester/pseudonym", ""], ["/requester/pseudonym", null],
	] {
		scope := disclosure.scope with input as example.requests(change[0], change[1])
		scope.admitted == false
		scope.code == "requester_incomplete"
	}
}

test_no_input_is_not_in_scope if {
	disclosure.scope == {"admitted": false, "code": "requester_incomplete", "notice": _none} with input as {}
}

test_a_standing_notice_is_the_same_for_every_question if {
	request := example.requests("/node/notice_mode", "standing")
	disclosure.scope == {"admitted": true, "code": null, "notice": _standing} with input as request
	refused := json.patch(request, [{"op": "replace", "path": "/purpose/code", "value": "POA"}])
	disclosure.scope == {"admitted": false, "code": "purpose_not_admitted", "notice": _standing} with input as refused
}

test_an_unknown_notice_mode_says_nothing if {
	disclosure.notice == _none with input as example.requests("/node/notice_mode", "named")
}
