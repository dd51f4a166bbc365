package concordat.clearance_test

import data.concordat.clearance
import data.concordat.example_test as example

_sufficient(sensitivity, value) if {
	class := example.changed({"sensitivity": sensitivity})
	clearance.sufficient(class) with input as example.requests("/requester/clearance", value)
}

test_clearance_reaches_up_to_itself if {
	every pair in [[0, 0], [0, 3], [1, 1], [1, 2], [2, 2], [2, 3], [3, 3]] {
		_sufficient(pair[0], pair[1])
	}
}

test_lower_clearance_is_not_sufficient if {
	not _sufficient(1, 0)
	not _sufficient(3, 2)
}

test_null_is_below_every_number_and_still_not_sufficient if {
	not _sufficient(null, 2)
	not _sufficient(0, null)
}

test_values_that_are_no_level_are_not_sufficient if {
	not _sufficient(-1, 2)
	not _sufficient(0, "3")
	not _sufficient(0, 4)
}

test_no_requester_has_no_clearance if not clearance.sufficient(example.open) with input as {}
