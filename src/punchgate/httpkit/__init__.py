"""What HTTP edges share and no more: bodies, limits, answers, the server.

No rule of a contract lives here.
"""
