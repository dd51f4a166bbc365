package concordat.duo_test

import data.concordat.duo
import data.concordat.example_test as example

_ids := {
	"NRES": "DUO:0000004",
	"GRU": "DUO:0000042",
	"HMB": "DUO:0000006",
	"DS": "DUO:0000007",
	"POA": "DUO:0000011",
}

# Permission by purpose, as in the Data Use Ontology; DS is for research on its own disease alone.
_table := {
	"NRES": {"GRU": true, "HMB": true, "DS": true, "POA": true, "MDS": true, "CC": true},
	"GRU": {"GRU": true, "HMB": true, "DS": true, "POA": true, "MDS": true, "CC": false},
	"HMB": {"GRU": false, "HMB": true, "DS": true, "POA": false, "MDS": true, "CC": false},
	"DS": {"GRU": false, "HMB": false, "DS": false, "POA": false, "MDS": false, "CC": false},
	"POA": {"GRU": false, "HMB": false, "DS": false, "POA": true, "MDS": true, "CC": false},
}

_purpose(code, disease) := json.patch(example.request, [
	{"op": "replace", "path": "/purpose/code", "value": code},
	{"op": "replace", "path": "/purpose/disease", "value": disease},
])

_permitted(permission, class_disease, code, disease) := permitted if {
	class := example.changed({"permission": _ids[permission], "disease": class_disease})
	permitted := duo.permitted(class) with input as _purpose(code, disease)
}

test_the_table_of_permission_and_purpose if {
	every permission, row in _table {
		every code, expected in row {
			_permitted(permission, null, code, null) == expected
		}
	}
}

test_a_disease_permission_allows_its_own_disease if {
	_permitted("DS", "MONDO:0007254", "DS", "MONDO:0007254")
	_permitted("DS", "MONDO:0007254", "MDS", "MONDO:0007254")
}

test_a_disease_permission_allows_nothing_else_on_its_disease if {
	every code in ["GRU", "HMB", "POA", "CC"] {
		_permitted("DS", "MONDO:0007254", code, "MONDO:0007254") == false
	}
}

test_another_disease_does_not_match if {
	_permitted("DS", "MONDO:0007254", "DS", "MONDO:0004992") == false
	_permitted("DS", "MONDO:0007254", "DS", "MONDO:00072541") == false
}

test_a_disease_never_matches_vacuously if {
	_permitted("DS", "MONDO:0007254", "DS", null) == false
	_permitted("DS", null, "DS", null) == false
	_permitted("DS", "", "DS", "") == false
	_permitted("DS", null, "DS", "MONDO:0007254") == false
}

test_a_disease_on_another_permission_does_not_restrict_it_further if _permitted("HMB", "MONDO:1", "HMB", null)

test_a_disease_does_not_help_another_permission if {
	_permitted("POA", "MONDO:0007254", "DS", "MONDO:0007254") == false
}

test_an_unknown_permission_allows_nothing if {
	every permission in ["DUO:0000005", "DUO:0000021", "GRU", "", null] {
		not duo.permitted(example.changed({"permission": permission})) with input as example.request
	}
}
