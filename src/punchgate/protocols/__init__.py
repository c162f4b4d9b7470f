"""Sans-IO codecs, one package for each protocol: bytes to what a device said, and back.

They use the standard library alone, hold no socket, read no clock and write no log. Of ours they
know `wire/`, and they do not know each other.
"""
