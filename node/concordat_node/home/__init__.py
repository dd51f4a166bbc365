"""The home node's door for its own people: signing in, asking, and the stored answers."""
