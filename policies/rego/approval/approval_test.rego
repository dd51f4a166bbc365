package concordat.approval_test

import data.concordat.approval
import data.concordat.example_test as example

_with(changes) := json.patch(example.request, [{
	"op": "replace",
	"path": "/approvals/irb-1",
	"value": object.union(example.approval, changes),
}])

_not_met(request, code) if {
	not approval.met(example.controlled) with input as request
	approval.chosen(example.controlled) == [] with input as request
	approval.missing_code(example.controlled) == code with input as request
}

_met(request) if {
	approval.met(example.controlled) with input as request
	approval.chosen(example.controlled) == ["irb-1"] with input as request
}

test_a_holder_has_the_approval if _met(example.request)

test_an_organization_may_hold_it if _met(_with({"holders": [{"organization": "alma-university", "pseudonym": null}]}))

test_another_person_does_not_hold_it if {
	_not_met(
		_with({"holders": [{"organization": "alma-university", "pseudonym": "p-other"}]}),
		"approval_missing",
	)
	_not_met(_with({"holders": [{"organization": "vitalis", "pseudonym": "p-analyst"}]}), "approval_missing")
	_not_met(_with({"holders": [{"organization": "alma-university"}]}), "approval_missing")
	_not_met(_with({"holders": []}), "approval_missing")
}

test_no_approval_on_record if {
	request := example.requests("/approvals", {})
	_not_met(request, "approval_missing")
}

test_a_revoked_approval if _not_met(_with({"status": "revoked"}), "approval_revoked")

test_an_approval_must_record_the_purpose if {
	_not_met(_with({"purposes": ["MDS"]}), "approval_purpose")
	_not_met(_with({"purposes": []}), "approval_purpose")
}

test_it_begins_when_it_was_given if {
	_met(_with({"approved_at": example.now}))
	_not_met(_with({"approved_at": example.now + 1}), "approval_not_yet_valid")
}

test_the_second_of_expiry_is_too_late if {
	_met(_with({"expires_at": example.now + 1}))
	_not_met(_with({"expires_at": example.now}), "approval_expired")
	_not_met(_with({"expires_at": example.now - 1}), "approval_expired")
}

test_times_that_are_no_numbers_are_not_valid if {
	_not_met(_with({"approved_at": null}), "approval_missing")
	_not_met(_with({"expires_at": "9999"}), "approval_missing")
	not approval.met(example.controlled) with input as example.requests("/now", null)
}

test_the_longest_approval_is_relied_on if {
	request := json.patch(example.request, [{
		"op": "add",
		"path": "/approvals/irb-0",
		"value": object.union(example.approval, {"id": "irb-0", "expires_at": example.now + 9000}),
	}])
	approval.chosen(example.changed({"approvals": ["irb-0", "irb-1"]})) == ["irb-0"] with input as request
}

test_an_approval_that_the_class_does_not_name_does_not_help if {
	other := example.changed({"approvals": ["irb-2"]})
	not approval.met(other) with input as example.request
	approval.chosen(other) == [] with input as example.request
	approval.missing_code(other) == "approval_missing" with input as example.request
}

test_the_modifier_without_a_named_approval_is_met_by_nobody if {
	class := example.modified([{"code": "DUO:0000021", "parameters": []}])
	not approval.met(class) with input as example.request
	approval.missing_code(class) == "approval_missing" with input as example.request
	approval.met(object.union(class, {"approvals": ["irb-1"]})) with input as example.request
}

test_what_comes_closest_is_said if {
	request := json.patch(_with({"status": "revoked"}), [{
		"op": "add",
		"path": "/approvals/irb-0",
		"value": object.union(example.approval, {"id": "irb-0", "expires_at": example.now}),
	}])
	class := example.changed({"approvals": ["irb-0", "irb-1"]})
	approval.missing_code(class) == "approval_expired" with input as request
	approval.missing_code(example.controlled) == "approval_revoked" with input as request
}

test_a_class_needs_an_approval_by_naming_one_or_by_modifier if {
	approval.needed(example.controlled)
	not approval.needed(example.open)
	approval.needed(example.modified([{"code": "DUO:0000021", "parameters": []}]))
	approval.needed(example.changed({"approvals": null}))
	approval.needed(object.union(example.open, {"approvals": {}}))
	approval.needed(object.remove(example.open, ["approvals"]))
}

test_a_class_that_needs_none_is_met_without if {
	approval.met(example.open) with input as example.requests("/approvals", {})
}
