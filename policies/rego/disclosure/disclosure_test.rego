package concordat.disclosure_test

import data.concordat.disclosure
import data.concordat.example_test as example

_decide(class, request) := decision if {
	decision := disclosure.decision(class) with input as request
}

_codes(items) := {item.code | some item in items}

_denied_with(decision, codes) if {
	decision.verdict == "deny"
	decision.level == "NONE"
	decision.masks == {}
	decision.obligations == []
	decision.missing == []
	decision.agreement_ids == []
	decision.relay_may_read == false
	decision.valid_until == null
	_codes(decision.reasons) == codes
	every reason in decision.reasons { reason.public == false }
}

test_everything_met_permits_everything if {
	decision := _decide(example.controlled, example.request)
	decision.verdict == "permit"
	decision.level == "FULL"
	decision.masks == {}
	_codes(decision.reasons) == {"agreement_covers", "approval_covers"}
	every reason in decision.reasons { reason.public == true }
	decision.missing == []
	decision.agreement_ids == ["dua-1"]
	decision.relay_may_read == false
	decision.valid_until == example.now + 3000
}

test_open_use_needs_nothing if {
	decision := _decide(example.open, example.request)
	decision.verdict == "permit"
	decision.reasons == [{"code": "open_use", "public": true}]
	decision.obligations == []
	decision.agreement_ids == []
	decision.valid_until == null
	decision.relay_may_read == true
}

test_an_approval_alone_is_a_ground if {
	decision := _decide(object.union(example.open, {"approvals": ["irb-1"]}), example.request)
	decision.reasons == [{"code": "approval_covers", "public": true}]
	decision.valid_until == example.now + 3000
}

test_an_agreement_obliges if {
	decision := _decide(example.controlled, example.request)
	_codes(decision.obligations) == {"cite", "no_redistribution"}
}

test_valid_until_is_the_earliest_end if {
	until := {"modifiers": [{"code": "DUO:0000025", "parameters": [{"name": "until", "value": "2027-01-16"}]}]}
	_decide(object.union(example.open, until), example.request).valid_until == 1800057600
	_decide(object.union(example.controlled, until), example.request).valid_until == example.now + 3000
	_decide(example.changed({"approvals": []}), example.request).valid_until == example.now + 5000
}

test_what_can_be_granted_leaves_a_summary if {
	request := example.requests("/approvals", {})
	decision := _decide(example.controlled, request)
	decision.verdict == "review"
	decision.level == "SUMMARY"
	decision.missing == [{"code": "approval_missing", "who_can_grant": "ethics_board"}]
	decision.reasons == [{"code": "approval_missing", "public": true}]
	decision.obligations == []
	decision.agreement_ids == []
	decision.valid_until == null
}

test_everything_missing_is_listed_with_who_can_grant_it if {
	request := json.patch(example.request, [
		{"op": "replace", "path": "/approvals", "value": {}},
		{"op": "replace", "path": "/agreements", "value": {}},
	])
	class := example.changed({"modifiers": [{"code": "DUO:0000043", "parameters": []}]})
	{[item.code, item.who_can_grant] | some item in _decide(class, request).missing} == {
		["agreement_missing", "data_owner"],
		["approval_missing", "ethics_board"],
		["modifier_review", "data_access_committee"],
	}
}

test_what_must_not_be_discovered_leaves_nothing if {
	request := example.requests("/approvals", {})
	_denied_with(_decide(example.changed({"discoverable": "none"}), request), {"approval_missing"})
}

test_every_open_condition_alone_prevents_a_permit if {
	every change in [["/approvals", {}], ["/agreements", {}]] {
		_decide(example.controlled, example.requests(change[0], change[1])).verdict == "review"
	}
	review := {"modifiers": [{"code": "DUO:0000024", "parameters": []}]}
	_decide(object.union(example.open, review), example.request).verdict == "review"
}

test_each_refusal_alone_leaves_nothing if {
	modifier := {"code": "DUO:0000018", "parameters": []}
	every row in [
		["not_active", {"status": "draft"}, "/now", example.now],
		["under_embargo", {"embargo_until": "2027-01-16"}, "/now", example.now],
		["clearance_too_low", {"sensitivity": 3}, "/now", example.now],
		["purpose_not_permitted", {"permission": "DUO:0000011"}, "/now", example.now],
		["purpose_not_admitted", {}, "/node/purposes_admitted", []],
		["organization_not_allowed", {"modifiers": [modifier]}, "/requester/organization_type", "commercial"],
		["use_not_allowed", {"modifiers": [modifier]}, "/purpose/commercial", true],
		["country_not_allowed", {"modifiers": [_gs("DE")]}, "/now", example.now],
		["time_limit_passed", {"modifiers": [_ts("2027-01-15")]}, "/now", example.now],
	] {
		_denied_with(_decide(example.changed(row[1]), example.requests(row[2], row[3])), {row[0]})
	}
}

_gs(country) := {"code": "DUO:0000022", "parameters": [{"name": "country", "value": country}]}

_ts(day) := {"code": "DUO:0000025", "parameters": [{"name": "until", "value": day}]}

test_a_malformed_class_leaves_nothing if {
	_denied_with(_decide(example.changed({"summary_metrics": null}), example.request), {"class_malformed"})
	_denied_with(
		_decide(example.changed({"discoverable": "yes"}), example.requests("/approvals", {})),
		{"class_malformed"},
	)
	every wrong in [null, 1, "x", [], {}] {
		decision := _decide(wrong, example.request)
		decision.verdict == "deny"
		decision.level == "NONE"
	}
}

test_without_input_everything_is_denied if {
	every class in [example.controlled, example.open] {
		decision := _decide(class, {})
		decision.verdict == "deny"
		decision.level == "NONE"
	}
}

test_a_refusal_outweighs_what_could_be_granted if {
	decision := _decide(example.changed({"status": "withdrawn"}), example.requests("/approvals", {}))
	_denied_with(decision, {"not_active"})
}

test_a_refusal_outweighs_what_could_be_granted_also_undiscovered if {
	class := example.changed({"status": "withdrawn", "discoverable": "none"})
	_denied_with(_decide(class, example.requests("/approvals", {})), {"not_active"})
}

test_what_is_permitted_need_not_be_discoverable if {
	_decide(example.changed({"discoverable": "none"}), example.request).verdict == "permit"
}

test_one_decision_for_each_class if {
	request := object.union(example.request, {"classes": {"a": example.open, "b": example.controlled, "c": null}})
	decisions := disclosure.decisions with input as request
	object.keys(decisions) == {"a", "b", "c"}
	decisions.a.verdict == "permit"
	decisions.c.verdict == "deny"
}

test_the_page_keeps_its_order if {
	request := object.union(example.request, {"page": [example.open, null, example.open]})
	page := disclosure.page with input as request
	[decision.verdict | some decision in page] == ["permit", "deny", "permit"]
}

test_a_relay_reads_only_public_and_registered_classes if {
	every sensitivity, expected in [true, true, false, false] {
		disclosure.relay_may_read({"relay_may_read": true, "sensitivity": sensitivity}) == expected
	}
	not disclosure.relay_may_read({"relay_may_read": false, "sensitivity": 0})
	not disclosure.relay_may_read({"relay_may_read": true, "sensitivity": null})
	not disclosure.relay_may_read({"relay_may_read": "yes", "sensitivity": 0})
}

test_the_summary_hides if {
	disclosure.masks_at_summary({"summary_metrics": true, "lineage": "complete"}) == {
		"description": {"op": "hide"},
		"cohort_size": {"op": "hide"},
		"contact": {"op": "hide"},
		"versions": {"op": "hide"},
	}
	object.keys(disclosure.masks_at_summary({"summary_metrics": false, "lineage": "complete"})) == {
		"description", "cohort_size", "contact", "trained_on", "evaluations", "versions", "lineage", "complete",
	}
	"evaluations" in object.keys(disclosure.masks_at_summary({"summary_metrics": null, "lineage": "complete"}))
}

test_lineage_to_others_is_told_only_by_its_owners_word if {
	every row in [
		["closed", {"lineage", "complete"}],
		["open", {"complete"}],
		["complete", set()],
		["yes", {"lineage", "complete"}],
		[null, {"lineage", "complete"}],
		[true, {"lineage", "complete"}],
	] {
		object.keys(disclosure.masks_at_full({"lineage": row[0]})) == row[1]
		decided := disclosure.masks_at_summary({"lineage": row[0], "summary_metrics": true})
		object.keys(decided) == row[1] | {"description", "cohort_size", "contact", "versions"}
	}
	object.keys(disclosure.masks_at_full({})) == {"lineage", "complete"}
}

test_a_permit_masks_the_lineage_of_a_closed_class if {
	decision := _decide(object.union(example.open, {"lineage": "closed"}), example.request)
	decision.level == "FULL"
	object.keys(decision.masks) == {"lineage", "complete"}
}

test_a_demanded_sign_in_is_open_for_the_requester_to_close if {
	request := json.patch(example.request, [
		{"op": "replace", "path": "/node/sign_in", "value": {"age_max_s": 900, "acr_values": ["mfa"], "sensitivity_min": 2}},
		{"op": "replace", "path": "/requester/auth_time", "value": example.now - 900},
	])
	decision := _decide(example.controlled, request)
	decision.level == "SUMMARY"
	{[item.code, item.who_can_grant] | some item in decision.missing} == {
		["sign_in_old", "requester"],
		["sign_in_weak", "requester"],
	}
	signed_in := json.patch(request, [
		{"op": "replace", "path": "/requester/auth_time", "value": example.now - 100},
		{"op": "replace", "path": "/requester/acr", "value": "mfa"},
	])
	again := _decide(example.controlled, signed_in)
	again.level == "FULL"
	again.valid_until == example.now + 800
}

test_what_a_visa_opens_ends_with_the_visa if {
	request := json.patch(example.request, [
		{"op": "replace", "path": "/agreements/dua-1/members", "value": []},
		{"op": "replace", "path": "/requester/visas", "value": [example.visa]},
	])
	decision := _decide(example.controlled, request)
	decision.level == "FULL"
	decision.valid_until == example.now + 2000
}
