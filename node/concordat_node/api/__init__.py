"""The doors of a node: GraphQL between peers, health for its operator. Only this room knows Strawberry and FastAPI."""
