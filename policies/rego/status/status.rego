# METADATA
# title: Status and embargo
# description: What its owner says about a class of assets as such, whoever asks.
# schemas:
#   - input: schema.input
package concordat.status

import data.concordat.attributes

# METADATA
# title: The class is published
# description: Drafts and withdrawn assets are disclosed to nobody.
# scope: document
default active(_) := false

active(r) if r.status == "active"

# METADATA
# title: The embargo day has come
# description: The day itself is no longer under embargo. `0001-01-01` means that there is none.
# scope: document
default embargo_over(_) := false

embargo_over(r) if {
	attributes.is_day(r.embargo_until)
	attributes.is_day(input.today)
	r.embargo_until <= input.today
}
