"""The coordinator's doors: the only room that knows Strawberry and FastAPI."""
