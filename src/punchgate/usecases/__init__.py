"""The verbs: plain functions in noun modules, each taking the context first.

What an edge may do is here; an edge keeps no rule and no query of its own. Nothing here knows a
status code or a published field name.
"""
