"""Policy: what a requester may see of a class of assets, asked of OPA and believed only when literally valid."""
