package concordat.attributes_test

import data.concordat.attributes
import data.concordat.example_test as example

test_a_good_class_is_well_formed if attributes.well_formed(example.controlled)

test_a_disease_and_parameters_are_well_formed if {
	attributes.well_formed(example.changed({
		"disease": "MONDO:0007254",
		"modifiers": [{"code": "DUO:0000022", "parameters": [{"name": "country", "value": "FR"}]}],
	}))
}

test_every_attribute_is_needed if {
	every name, _ in example.controlled {
		not attributes.well_formed(object.remove(example.controlled, [name]))
	}
}

test_no_attribute_may_be_null_but_the_disease if {
	every name, _ in object.remove(example.controlled, ["disease"]) {
		not attributes.well_formed(object.union(example.controlled, {name: null}))
	}
}

test_no_attribute_may_be_of_another_type if {
	every name, _ in example.controlled {
		not attributes.well_formed(object.union(example.controlled, {name: 7}))
		not attributes.well_formed(object.union(example.controlled, {name: {"x": 1}}))
		not attributes.well_formed(json.patch(example.controlled, [{"op": "replace", "path": [name], "value": {}}]))
	}
	every name, _ in object.remove(example.controlled, ["permission", "disease"]) {
		not attributes.well_formed(object.union(example.controlled, {name: "other"}))
	}
}

test_an_empty_disease_is_not_well_formed if not attributes.well_formed(example.changed({"disease": ""}))

test_parameters_are_texts if {
	every modifier in [
		{"code": 1, "parameters": []},
		{"code": "x"},
		{"code": "x", "parameters": {}},
		{"code": "x", "parameters": [{"name": 1, "value": "x"}]},
		{"code": "x", "parameters": [{"name": "x", "value": null}]},
	] {
		not attributes.well_formed(example.changed({"modifiers": [modifier]}))
	}
}

test_agreements_and_approvals_are_texts if {
	not attributes.well_formed(example.changed({"agreements": [1]}))
	not attributes.well_formed(example.changed({"approvals": [1]}))
	not attributes.well_formed(example.changed({"approvals": ["irb-1", null]}))
}

test_days if {
	attributes.is_day("2027-01-15")
	attributes.is_day("0001-01-01")
	every wrong in ["", "2027-1-15", "2027-13-01", "2027-01-32", "2027-01-15T00:00:00Z", 20270115, null] {
		not attributes.is_day(wrong)
	}
}
