"""All SQL and nothing else, for SQLite and PostgreSQL.

Functions take the transaction first and the account second and give frozen domain values back; no
row object leaves this package. Only `writer.py` commits.
"""
