# METADATA
# title: Purpose
# description: What a purpose must say to be considered at all, and whether the node considers it.
# schemas:
#   - input: schema.input
package concordat.purpose

_codes := {"GRU", "HMB", "DS", "POA", "MDS", "CC"}

# METADATA
# title: The purpose is complete
# description: DESIGN section 1, "Purpose". Its code is of the closed list and every field has its type.
# scope: document
default complete := false

complete if {
	input.purpose.code in _codes
	is_boolean(input.purpose.commercial)
	_term_or_null(input.purpose.disease)
}

# METADATA
# title: The node admits the purpose
# description: The node's own configuration; an empty list admits nothing.
# scope: document
default admitted := false

admitted if {
	complete
	input.purpose.code in input.node.purposes_admitted
}

_term_or_null(disease) if disease == null

_term_or_null(disease) if {
	is_string(disease)
	disease != ""
}
