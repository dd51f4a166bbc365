package concordat.status_test

import data.concordat.example_test as example
import data.concordat.status

_over(day, today) if {
	status.embargo_over(example.changed({"embargo_until": day})) with input as example.requests("/today", today)
}

test_only_active_is_active if {
	status.active(example.controlled)
	every other in ["draft", "withdrawn", "", null] {
		not status.active(example.changed({"status": other}))
	}
}

test_the_embargo_day_itself_is_free if {
	_over("2027-01-15", "2027-01-15")
	_over("0001-01-01", "2027-01-15")
}

test_the_day_before_is_not if not _over("2027-01-16", "2027-01-15")

test_an_embargo_that_is_no_day_is_not_over if {
	not _over(null, "2027-01-15")
	not _over(20270101, "2027-01-15")
	not _over("", "2027-01-15")
}

test_without_a_day_of_today_no_embargo_is_over if {
	not _over("2027-01-15", null)
	not _over("0001-01-01", "x")
}
