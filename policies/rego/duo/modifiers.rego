package concordat.duo

import data.concordat.attributes

_irb := "DUO:0000021"

_npu := "DUO:0000045"

_ncu := "DUO:0000046"

_npuncu := "DUO:0000018"

_gs := "DUO:0000022"

_ts := "DUO:0000025"

# METADATA
# title: Every modifier is understood
# description: |
#   Six modifiers are carried out: IRB, NPU, NCU, NPUNCU, GS (with parameters `country`, ISO 3166-1 alpha-2) and TS
#   (with one parameter `until`, a day). Any other code, a code given twice, or a parameter that cannot be read is for a
#   data access committee to review.
# scope: document
default understood(_) := false

understood(r) if {
	is_array(r.modifiers)
	every modifier in r.modifiers { _understood(modifier) }
	count({modifier.code | some modifier in r.modifiers}) == count(r.modifiers)
}

# METADATA
# title: The kind of organization is allowed
# description: |
#   DUO:0000045 (not-for-profit organizations) and DUO:0000018. The meaning of DUO:0000018 is the present one, not for
#   profit *and* non-commercial; it was narrower in 2019.
# scope: document
default organization_allowed(_) := false

organization_allowed(r) if {
	is_array(r.modifiers)
	not _has(r, {_npu, _npuncu})
}

organization_allowed(_) if input.requester.organization_type in {"nonprofit", "public"}

# METADATA
# title: The use is allowed, commercial or not
# description: DUO:0000046 (non-commercial use) and DUO:0000018.
# scope: document
default use_allowed(_) := false

use_allowed(r) if {
	is_array(r.modifiers)
	not _has(r, {_ncu, _npuncu})
}

use_allowed(_) if input.purpose.commercial == false

# METADATA
# title: The country is allowed
# description: DUO:0000022. An unknown country is in no region.
# scope: document
default country_allowed(_) := false

country_allowed(r) if {
	is_array(r.modifiers)
	every modifier in r.modifiers { _country_allowed(modifier) }
}

# METADATA
# title: The time limit has not passed
# description: DUO:0000025, as the day on which use must have ended.
# scope: document
default time_allowed(_) := false

time_allowed(r) if {
	is_array(r.modifiers)
	every modifier in r.modifiers { _time_allowed(modifier) }
}

# METADATA
# title: When the time limits end
# description: The Unix seconds at which each time limit of the class ends, a set that may be empty.
time_limits(r) := {_seconds(_values(modifier, "until")[0]) |
	some modifier in r.modifiers
	modifier.code == _ts
}

# METADATA
# title: An ethics approval is required by DUO:0000021
# scope: document
default approval_required(_) := true

approval_required(r) := false if {
	is_array(r.modifiers)
	not _has(r, {_irb})
}

_has(r, codes) if {
	some modifier in r.modifiers
	modifier.code in codes
}

_values(modifier, name) := [parameter.value |
	some parameter in modifier.parameters
	parameter.name == name
]

_understood(modifier) if modifier.code in {_irb, _npu, _ncu, _npuncu}

_understood(modifier) if {
	modifier.code == _gs
	countries := _values(modifier, "country")
	count(countries) > 0
	count(countries) == count(modifier.parameters)
	every country in countries { regex.match(`^[A-Z]{2}$`, country) }
}

_understood(modifier) if {
	modifier.code == _ts
	days := _values(modifier, "until")
	count(modifier.parameters) == 1
	is_number(_seconds(days[0]))
}

_country_allowed(modifier) if modifier.code != _gs

_country_allowed(modifier) if not _understood(modifier)

_country_allowed(modifier) if input.requester.country in _values(modifier, "country")

_time_allowed(modifier) if modifier.code != _ts

_time_allowed(modifier) if not _understood(modifier)

_time_allowed(modifier) if {
	attributes.is_day(input.today)
	input.today < _values(modifier, "until")[0]
}

_seconds(day) := floor(time.parse_ns("2006-01-02", day) / 1000000000) if attributes.is_day(day)
