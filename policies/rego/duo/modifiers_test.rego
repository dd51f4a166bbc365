package concordat.duo_test

import data.concordat.duo
import data.concordat.example_test as example

_class(code, parameters) := example.modified([{"code": code, "parameters": parameters}])

_country(value) := {"name": "country", "value": value}

_until(value) := {"name": "until", "value": value}

_as(path, value) := example.requests(path, value)

test_no_modifiers_are_understood_and_allow if {
	duo.understood(example.open)
	duo.organization_allowed(example.open) with input as _as("/requester/organization_type", "commercial")
	duo.use_allowed(example.open) with input as _as("/purpose/commercial", true)
	duo.country_allowed(example.open) with input as example.request
	duo.time_allowed(example.open) with input as example.request
	not duo.approval_required(example.open)
}

test_the_six_modifiers_are_understood if {
	every code in ["DUO:0000021", "DUO:0000045", "DUO:0000046", "DUO:0000018"] {
		duo.understood(_class(code, []))
	}
	duo.understood(_class("DUO:0000022", [_country("FR"), _country("DE")]))
	duo.understood(_class("DUO:0000025", [_until("2028-01-01")]))
}

test_every_other_modifier_is_for_review if {
	every code in [
		"DUO:0000012", "DUO:0000015", "DUO:0000016", "DUO:0000019", "DUO:0000020", "DUO:0000024",
		"DUO:0000026", "DUO:0000027", "DUO:0000028", "DUO:0000029", "DUO:0000043", "DUO:0000044",
		"DUO:0000005", "unknown",
	] {
		not duo.understood(_class(code, []))
	}
}

test_a_code_given_twice_is_for_review if {
	not duo.understood(example.modified([
		{"code": "DUO:0000022", "parameters": [_country("FR")]},
		{"code": "DUO:0000022", "parameters": [_country("DE")]},
	]))
}

test_parameters_that_cannot_be_read_are_for_review if {
	not duo.understood(_class("DUO:0000022", []))
	not duo.understood(_class("DUO:0000022", [_country("Europe")]))
	not duo.understood(_class("DUO:0000022", [_country("FR"), {"name": "region", "value": "EU"}]))
	not duo.understood(_class("DUO:0000025", []))
	not duo.understood(_class("DUO:0000025", [{"name": "months", "value": "12"}]))
	not duo.understood(_class("DUO:0000025", [_until("2028-01-01"), _until("2029-01-01")]))
	not duo.understood(_class("DUO:0000025", [_until("2028-01-01"), _country("FR")]))
	not duo.understood(_class("DUO:0000025", [_until("2028-02-31")]))
	not duo.understood(_class("DUO:0000025", [_until("soon")]))
}

test_not_for_profit_organizations if {
	every code in ["DUO:0000045", "DUO:0000018"] {
		every kind in ["nonprofit", "public"] {
			duo.organization_allowed(_class(code, [])) with input as _as("/requester/organization_type", kind)
		}
		every kind in ["commercial", "", null] {
			not duo.organization_allowed(_class(code, [])) with input as _as("/requester/organization_type", kind)
		}
	}
}

test_non_commercial_use if {
	every code in ["DUO:0000046", "DUO:0000018"] {
		duo.use_allowed(_class(code, [])) with input as _as("/purpose/commercial", false)
		not duo.use_allowed(_class(code, [])) with input as _as("/purpose/commercial", true)
		not duo.use_allowed(_class(code, [])) with input as _as("/purpose/commercial", null)
	}
}

test_non_commercial_use_is_not_about_the_organization if {
	duo.organization_allowed(_class("DUO:0000046", [])) with input as _as("/requester/organization_type", "commercial")
	duo.use_allowed(_class("DUO:0000045", [])) with input as _as("/purpose/commercial", true)
}

test_countries if {
	class := _class("DUO:0000022", [_country("FR"), _country("DE")])
	duo.country_allowed(class) with input as _as("/requester/country", "FR")
	duo.country_allowed(class) with input as _as("/requester/country", "DE")
	not duo.country_allowed(class) with input as _as("/requester/country", "US")
	not duo.country_allowed(class) with input as _as("/requester/country", "")
	not duo.country_allowed(class) with input as _as("/requester/country", null)
}

test_a_region_that_cannot_be_read_is_left_to_review if {
	duo.country_allowed(_class("DUO:0000022", [])) with input as example.request
}

test_the_last_day_is_the_day_before_until if {
	class := _class("DUO:0000025", [_until("2027-01-16")])
	duo.time_allowed(class) with input as _as("/today", "2027-01-15")
	not duo.time_allowed(class) with input as _as("/today", "2027-01-16")
	not duo.time_allowed(class) with input as _as("/today", null)
}

test_a_time_limit_that_cannot_be_read_is_left_to_review if {
	duo.time_allowed(_class("DUO:0000025", [])) with input as example.request
}

test_time_limits_are_seconds if {
	duo.time_limits(_class("DUO:0000025", [_until("2027-01-16")])) == {1800057600}
	duo.time_limits(_class("DUO:0000022", [_until("2027-01-16")])) == set()
	duo.time_limits(example.open) == set()
}

test_ethics_approval_is_required_by_its_modifier if {
	duo.approval_required(_class("DUO:0000021", []))
	not duo.approval_required(_class("DUO:0000045", []))
}

test_modifiers_that_are_no_list_allow_nothing if {
	every wrong in [null, {}, "", 0] {
		class := json.patch(example.open, [{"op": "replace", "path": "/modifiers", "value": wrong}])
		not duo.understood(class)
		not duo.organization_allowed(class) with input as _as("/requester/organization_type", "commercial")
		not duo.use_allowed(class) with input as _as("/purpose/commercial", true)
		not duo.country_allowed(class) with input as example.request
		not duo.time_allowed(class) with input as example.request
		duo.approval_required(class)
	}
}

test_parameters_of_another_modifier_do_not_make_it_understood if {
	not duo.understood(_class("DUO:0000028", [_country("FR")]))
	not duo.understood(_class("DUO:0000024", [_until("2028-01-01")]))
}
