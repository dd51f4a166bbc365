"""The signed channel to other organizations, and what travels on it."""
