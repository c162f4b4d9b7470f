"""How a conversation can go wrong on the way; what is wrong with its content is a ProtocolError."""


class Lost(Exception):
    """The line is gone: the peer reset it, left in the middle, or took nothing any more."""


class Silent(Exception):
    """The peer said nothing within the time that it had; the line can still be used."""


class Unreachable(Exception):
    """Nobody took our call; the text says why."""
