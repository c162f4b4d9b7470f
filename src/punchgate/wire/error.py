"""The one error that leaves a codec when the peer broke the rules."""


class ProtocolError(Exception):
    """The peer sent what its protocol does not allow; the conversation cannot go on."""
