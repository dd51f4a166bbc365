package concordat.agreement_test

import data.concordat.agreement
import data.concordat.example_test as example

# The request with the agreement changed.
_with(changes) := json.patch(example.request, [{
	"op": "replace",
	"path": "/agreements/dua-1",
	"value": object.union(example.agreement, changes),
}])

_not_met(request, code) if {
	not agreement.met(example.controlled) with input as request
	agreement.chosen(example.controlled) == [] with input as request
	agreement.missing_code(example.controlled) == code with input as request
}

_met(request) if {
	agreement.met(example.controlled) with input as request
	agreement.chosen(example.controlled) == ["dua-1"] with input as request
}

test_a_named_member_is_covered if _met(example.request)

test_members_may_be_a_whole_organization if {
	_met(_with({"members": [{"organization": "alma-university", "pseudonym": null}]}))
}

test_an_agreement_without_members_covers_nobody if _not_met(_with({"members": []}), "agreement_missing")

test_another_person_of_the_organization_is_not_covered if {
	_not_met(
		_with({"members": [{"organization": "alma-university", "pseudonym": "p-other"}]}),
		"agreement_missing",
	)
}

test_the_same_pseudonym_of_another_organization_is_not_covered if {
	_not_met(_with({"members": [{"organization": "vitalis", "pseudonym": "p-analyst"}]}), "agreement_missing")
}

test_members_without_a_pseudonym_field_cover_nobody if {
	_not_met(_with({"members": [{"organization": "alma-university"}]}), "agreement_missing")
	_not_met(_with({"members": [{"organization": "alma-university", "pseudonym": false}]}), "agreement_missing")
	_not_met(_with({"members": null, "parties": ["alma-university"]}), "agreement_missing")
}

test_a_revoked_agreement if _not_met(_with({"status": "revoked"}), "agreement_revoked")

test_an_agreement_must_record_the_purpose if {
	_not_met(_with({"purposes": ["GRU"]}), "agreement_purpose")
	_not_met(_with({"purposes": []}), "agreement_purpose")
}

test_validity_begins_with_its_first_second if {
	_met(_with({"valid_from": example.now}))
	_not_met(_with({"valid_from": example.now + 1}), "agreement_not_yet_valid")
}

test_validity_ends_before_its_last_second if {
	_met(_with({"valid_until": example.now + 1}))
	_not_met(_with({"valid_until": example.now}), "agreement_expired")
}

test_times_that_are_no_numbers_are_not_valid if {
	_not_met(_with({"valid_from": null}), "agreement_missing")
	_not_met(_with({"valid_until": "9999"}), "agreement_missing")
	not agreement.met(example.controlled) with input as example.requests("/now", null)
	not agreement.met(example.controlled) with input as example.requests("/now", "1")
}

test_an_unknown_agreement_covers_nobody if {
	class := example.changed({"agreements": ["dua-9"]})
	not agreement.met(class) with input as example.request
	agreement.missing_code(class) == "agreement_missing" with input as example.request
}

test_an_agreement_that_the_class_does_not_name_does_not_help if {
	not agreement.met(example.changed({"agreements": ["dua-2"]})) with input as example.request
}

test_an_empty_set_of_agreements_denies if {
	not agreement.met(example.changed({"agreements": []})) with input as example.request
	not agreement.met(example.changed({"agreements": [], "sensitivity": 3})) with input as example.request
}

test_public_and_registered_classes_without_agreements_need_none if {
	agreement.met(example.open) with input as example.request
	agreement.met(object.union(example.open, {"sensitivity": 1})) with input as example.request
	agreement.chosen(example.open) == [] with input as example.request
}

test_a_public_class_with_an_agreement_needs_it if {
	class := object.union(example.open, {"agreements": ["dua-1"]})
	agreement.met(class) with input as example.request
	not agreement.met(class) with input as _with({"status": "revoked"})
}

test_the_longest_agreement_is_relied_on if {
	request := json.patch(example.request, [{
		"op": "add",
		"path": "/agreements/dua-0",
		"value": object.union(example.agreement, {"id": "dua-0", "valid_until": example.now + 9000}),
	}])
	agreement.chosen(example.changed({"agreements": ["dua-0", "dua-1"]})) == ["dua-0"] with input as request
}

test_what_comes_closest_is_said if {
	request := json.patch(_with({"status": "revoked"}), [{
		"op": "add",
		"path": "/agreements/dua-0",
		"value": object.union(example.agreement, {"id": "dua-0", "valid_until": example.now}),
	}])
	class := example.changed({"agreements": ["dua-1", "dua-0"]})
	agreement.missing_code(class) == "agreement_expired" with input as request
}

_granted(changes, class) if {
	agreement.met(class) with input as json.patch(example.request, [
		{"op": "replace", "path": "/agreements/dua-1/members", "value": []},
		{"op": "replace", "path": "/requester/visas", "value": [object.union(example.visa, changes)]},
	])
}

test_a_grant_of_the_owners_committee_makes_a_member if _granted({}, example.controlled)

test_no_other_visa_makes_a_member if {
	every changes in [
		{"type": "AcceptedTermsAndPolicies"},
		{"by": "self"},
		{"by": ""},
		{"organization": "alma-university"},
		{"organization": null},
		{"value": "urn:concordat:north-hospital:agreement:dua-2"},
		{"value": "urn:concordat:alma-university:agreement:dua-1"},
		{"value": "dua-1"},
		{"expires_at": example.now},
		{"expires_at": null},
	] {
		not _granted(changes, example.controlled)
	}
}

test_a_grant_is_for_people_of_a_party if {
	request := json.patch(example.request, [
		{"op": "replace", "path": "/requester/visas", "value": [example.visa]},
		{"op": "replace", "path": "/agreements/dua-1/members", "value": []},
		{"op": "replace", "path": "/agreements/dua-1/parties", "value": ["north-hospital", "vitalis"]},
	])
	not agreement.met(example.controlled) with input as request
}

test_a_grant_is_for_the_agreements_purposes_and_time if {
	every change in [
		{"op": "replace", "path": "/agreements/dua-1/status", "value": "revoked"},
		{"op": "replace", "path": "/agreements/dua-1/valid_until", "value": example.now},
		{"op": "replace", "path": "/agreements/dua-1/purposes", "value": ["GRU"]},
	] {
		request := json.patch(example.request, [
			{"op": "replace", "path": "/requester/visas", "value": [example.visa]},
			{"op": "replace", "path": "/agreements/dua-1/members", "value": []},
			change,
		])
		not agreement.met(example.controlled) with input as request
	}
}

test_what_rests_on_a_visa_ends_with_it if {
	with_visas := json.patch(example.request, [{"op": "replace", "path": "/requester/visas", "value": [
		example.visa,
		object.union(example.visa, {"expires_at": example.now + 2500}),
	]}])
	agreement.granted_until(example.controlled) == set() with input as with_visas
	bare := json.patch(with_visas, [{"op": "replace", "path": "/agreements/dua-1/members", "value": []}])
	agreement.granted_until(example.controlled) == {example.now + 2500} with input as bare
}
