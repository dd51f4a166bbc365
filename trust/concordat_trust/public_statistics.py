"""The term statistics that are shipped with this release: a table of generic words about data sets and models.

A network publishes its own copy as a target of its trust bundle; what counts is the bundle's. The file is made by
`tools/build_public_statistics.py` from sentences written for this purpose, so it holds no word of any record.
"""

from __future__ import annotations

from importlib.resources import files

PUBLIC_STATISTICS = "data/public_statistics.json"


def public_statistics_file() -> bytes:
    """Return the canonical bytes of the shipped table, ready to be published as a bundle target."""
    return files("concordat_trust").joinpath(PUBLIC_STATISTICS).read_bytes()
