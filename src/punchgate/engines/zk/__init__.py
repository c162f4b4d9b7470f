"""Conversations with terminals of port 4370, in parts that `engines/terminals.py` puts together.

From the socket up: `call` one session, `desk` whose turn it is, `visit` a session with its terminal
treated as it is set, `reading` and `people` what is done in one, `live` and `rounds` what is done
without being asked.
"""
