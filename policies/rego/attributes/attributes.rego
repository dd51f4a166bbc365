# METADATA
# title: Well-formed classes
# description: |
#   The types of every attribute that other packages compare. Rego orders values of different types (null < number <
#   string), so that `null <= 2` is true: nothing is decided about a class that is not exactly of these types.
package concordat.attributes

# METADATA
# title: The class has every attribute, with its type
# description: DESIGN section 5, "NOT NULL and typed columns only".
# scope: document
default well_formed(_) := false

well_formed(r) if {
	r.kind in {"dataset", "model"}
	r.sensitivity in {0, 1, 2, 3}
	is_string(r.permission)
	_term(r.disease)
	is_array(r.modifiers)
	every modifier in r.modifiers { _modifier(modifier) }
	is_array(r.agreements)
	every id in r.agreements { is_string(id) }
	is_array(r.approvals)
	every id in r.approvals { is_string(id) }
	r.discoverable in {"none", "summary"}
	is_boolean(r.summary_metrics)
	is_boolean(r.relay_may_read)
	is_day(r.embargo_until)
	r.status in {"draft", "active", "withdrawn"}
	r.lineage in {"closed", "open", "complete"}
}

# METADATA
# title: A day, written YYYY-MM-DD
# description: |
#   Days written so compare as strings in the order of the calendar. Not parsed: `0001-01-01` stands for "no embargo"
#   and is outside the range of nanoseconds.
# scope: document
default is_day(_) := false

is_day(day) if {
	regex.match(`^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$`, day)
}

_term(disease) if disease == null

_term(disease) if {
	is_string(disease)
	disease != ""
}

_modifier(modifier) if {
	is_string(modifier.code)
	is_array(modifier.parameters)
	every parameter in modifier.parameters {
		is_string(parameter.name)
		is_string(parameter.value)
	}
}
