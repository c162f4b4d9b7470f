"""Pages that are generated, not written twice: each has its place and its source.

`make docs` writes them, `make check` fails when one is stale.
"""
