"""The vocabulary between codecs and the rest: what a device tells us, in the device's own terms.

Knows nothing of ours: no account, no store, no rule. It does no I/O and reads no clock.
"""
