"""The whole life of a network and its members: founding, inviting, applying, approving, rotating, replacing, removing.

Pure. What people hand to each other are small JSON files without secrets: a public part, an invitation, an application,
approvals. No private key ever meets another one.
"""
