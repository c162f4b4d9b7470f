"""How a request looks to a receiver: a pure module per format, with its row for the registry.

They know nothing of each other. What several need stands in `delivery/render.py` and
`delivery/vendor.py`, the headers in `delivery/signing.py`.
"""
