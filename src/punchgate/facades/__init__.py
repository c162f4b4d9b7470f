"""Where we answer as if we were a terminal, for software that only knows how to pull one.

Reads only: nothing here can reach a use case, so a write has nowhere to go.
"""
