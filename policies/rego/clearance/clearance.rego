# METADATA
# title: Clearance
# description: A person's clearance, as capped by the keyholders, against the sensitivity of the class.
# schemas:
#   - input: schema.input
package concordat.clearance

_levels := {0, 1, 2, 3}

# METADATA
# title: The clearance reaches the sensitivity
# description: |
#   DESIGN section 1, "Sensitivity and clearance". Both sides must be levels: without the lower bound a null clearance
#   or sensitivity would pass the comparison.
# scope: document
default sufficient(_) := false

sufficient(r) if {
	r.sensitivity in _levels
	input.requester.clearance in _levels
	r.sensitivity <= input.requester.clearance
}
