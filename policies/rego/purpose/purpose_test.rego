package concordat.purpose_test

import data.concordat.example_test as example
import data.concordat.purpose

_admitted(code, admitted) if {
	purpose.admitted with input as json.patch(example.request, [
		{"op": "replace", "path": "/purpose/code", "value": code},
		{"op": "replace", "path": "/node/purposes_admitted", "value": admitted},
	])
}

test_an_admitted_purpose if _admitted("HMB", ["GRU", "HMB"])

test_a_purpose_that_the_node_does_not_list if not _admitted("POA", ["GRU", "HMB"])

test_an_empty_list_admits_nothing if not _admitted("HMB", [])

test_a_code_outside_the_closed_list_is_never_admitted if not _admitted("XYZ", ["XYZ"])

test_commercial_is_true_or_false if {
	not purpose.admitted with input as example.requests("/purpose/commercial", null)
	not purpose.admitted with input as example.requests("/purpose/commercial", "no")
	purpose.admitted with input as example.requests("/purpose/commercial", true)
}

test_a_disease_is_a_term_or_null if {
	purpose.complete with input as example.requests("/purpose/disease", "MONDO:0007254")
	not purpose.complete with input as example.requests("/purpose/disease", "")
	not purpose.complete with input as example.requests("/purpose/disease", 7)
}

test_nothing_is_not_a_purpose if not purpose.admitted with input as {}
