"""From an admitted request to a logged and attested answer."""
