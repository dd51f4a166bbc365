package concordat.disclosure

import data.concordat.purpose

# METADATA
# title: Whether the node answers this person and purpose at all
# description: |
#   DESIGN section 3, step 5. Decided from requester, purpose and configuration, before any class is read, so that the
#   status of an answer says nothing about what the node holds.
# scope: document
# entrypoint: true
default scope := {
	"admitted": false,
	"code": "requester_incomplete",
	"notice": {"mode": "none", "code": null, "contact": null},
}

scope := {"admitted": true, "code": null, "notice": notice} if {
	_requester_complete
	purpose.admitted
}

scope := {"admitted": false, "code": "purpose_not_admitted", "notice": notice} if {
	_requester_complete
	not purpose.admitted
}

# METADATA
# title: What the node says about withheld assets
# description: |
#   DESIGN section 8. A notice is itself a disclosure: it comes from the node's configuration alone and is the same for
#   every question. `standing` says always that there may be more, `none` says nothing.
# scope: document
default notice := {"mode": "none", "code": null, "contact": null}

notice := {"mode": "standing", "code": input.node.notice_code, "contact": input.node.notice_contact} if {
	input.node.notice_mode == "standing"
}

_requester_complete if {
	is_string(input.requester.organization)
	input.requester.organization != ""
	is_string(input.requester.pseudonym)
	input.requester.pseudonym != ""
	input.requester.clearance in {0, 1, 2, 3}
}
