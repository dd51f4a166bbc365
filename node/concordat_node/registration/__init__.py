"""The REST door of the registry: registration and change by the organization's own registrars."""
