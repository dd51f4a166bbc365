# METADATA
# title: DUO permission terms
# description: |
#   Which purposes each permission term of the Data Use Ontology allows (EBISPOT/DUO, release of 2022-09). Exactly one
#   permission applies to a class. Disease terms match only when they are identical, and a missing one matches nothing.
# schemas:
#   - input: schema.input
package concordat.duo

_permission := {
	"DUO:0000004": "NRES",
	"DUO:0000042": "GRU",
	"DUO:0000006": "HMB",
	"DUO:0000007": "DS",
	"DUO:0000011": "POA",
}

# Purposes that a permission allows whatever the disease. DS allows none without its own disease.
_allowed := {
	"NRES": {"GRU", "HMB", "DS", "POA", "MDS", "CC"},
	"GRU": {"GRU", "HMB", "DS", "POA", "MDS"},
	"HMB": {"HMB", "DS", "MDS"},
	"DS": set(),
	"POA": {"POA", "MDS"},
}

# Purposes that a DS permission allows for research on exactly its disease.
_allowed_on_disease := {"DS", "MDS"}

# METADATA
# title: The permission term allows the purpose
# description: |
#   The table of permission × purpose. Clinical care (CC) is allowed by NRES only: that the modifier DUO:0000043 would
#   add it is not carried out, so that no modifier widens.
# related_resources:
#   - https://github.com/EBISPOT/DUO
# scope: document
default permitted(_) := false

permitted(r) if input.purpose.code in _allowed[_permission[r.permission]]

permitted(r) if {
	_permission[r.permission] == "DS"
	input.purpose.code in _allowed_on_disease
	is_string(r.disease)
	r.disease != ""
	input.purpose.disease == r.disease
}
