# A good request and a good class, for the tests to break one thing of.
package concordat.example_test

now := 1800000000

request := {
	"requester": {
		"organization": "alma-university",
		"pseudonym": "p-analyst",
		"affiliation": "member",
		"role": "researcher",
		"clearance": 2,
		"country": "FR",
		"organization_type": "nonprofit",
		"auth_time": null,
		"acr": null,
		"visas": [],
	},
	"purpose": {"code": "HMB", "disease": null, "commercial": false, "method": null, "project": null},
	"now": now,
	"today": "2027-01-15",
	"node": {
		"organization": "north-hospital",
		"purposes_admitted": ["HMB", "DS", "MDS", "GRU"],
		"notice_mode": "none",
		"notice_code": "ask_us",
		"notice_contact": "data-access@north-hospital.example",
		"sign_in": {"age_max_s": 0, "acr_values": [], "sensitivity_min": 3},
	},
	"agreements": {"dua-1": agreement},
	"approvals": {"irb-1": approval},
}

agreement := {
	"id": "dua-1",
	"title": "Trial data use agreement",
	"parties": ["alma-university", "north-hospital"],
	"members": [{"organization": "alma-university", "pseudonym": "p-analyst"}],
	"purposes": ["HMB", "DS"],
	"valid_from": now - 1000,
	"valid_until": now + 5000,
	"status": "active",
	"document_digest": "d1",
	"contact": "",
}

# The grant of a data access committee of the node's own organization.
visa := {
	"type": "ControlledAccessGrants",
	"value": "urn:concordat:north-hospital:agreement:dua-1",
	"source": "https://north.example/dac",
	"by": "dac",
	"asserted": now - 1000,
	"expires_at": now + 2000,
	"issuer": "https://visas.north.example",
	"organization": "north-hospital",
}

approval := {
	"id": "irb-1",
	"board": "Board",
	"protocol": "P-1",
	"holders": [{"organization": "alma-university", "pseudonym": "p-analyst"}],
	"purposes": ["HMB", "DS"],
	"approved_at": now - 1000,
	"expires_at": now + 3000,
	"status": "active",
	"document_digest": "d2",
}

# Controlled, under an agreement and an approval, discoverable.
controlled := {
	"kind": "dataset",
	"lineage": "complete",
	"sensitivity": 2,
	"permission": "DUO:0000006",
	"disease": null,
	"modifiers": [],
	"agreements": ["dua-1"],
	"approvals": ["irb-1"],
	"discoverable": "summary",
	"summary_metrics": false,
	"relay_may_read": true,
	"embargo_until": "0001-01-01",
	"status": "active",
}

# Public, without any condition.
open := object.union(controlled, {
	"sensitivity": 0,
	"permission": "DUO:0000004",
	"agreements": [],
	"approvals": [],
})

modified(modifiers) := object.union(open, {"modifiers": modifiers})

changed(changes) := object.union(controlled, changes)

requests(path, value) := json.patch(request, [{"op": "replace", "path": path, "value": value}])
