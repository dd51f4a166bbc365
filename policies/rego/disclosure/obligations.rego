package concordat.disclosure

import data.concordat.agreement

_cite := {"code": "cite", "text": "Cite the agreement and its owner in what is published from this use."}

_no_redistribution := {
	"code": "no_redistribution",
	"text": "Do not pass the asset or copies of it on to anybody whom the agreement does not cover.",
}

# METADATA
# title: What the requester takes on
# description: |
#   Using an asset under an agreement binds to citing it and to keeping it within the agreement. What modifiers oblige
#   to (MOR, PUB, RTN, COL) is not carried out; those modifiers are for review.
obligations(r) := [_cite, _no_redistribution] if {
	count(agreement.chosen(r)) > 0
} else := []
