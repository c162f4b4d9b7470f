"""What socket edges share: `stream.py` over TCP and `datagram.py` over UDP drive any codec.

Bytes, deadlines and back-pressure only. What the bytes mean is a codec's, what is done about them
an engine's, a facade's or a simulator's.
"""
