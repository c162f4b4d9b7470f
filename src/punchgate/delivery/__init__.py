"""The event log on its way out: signed webhooks, in order per key, at least once.

Pure decisions (`window`, `schedule`, `signing`, `formats/`) apart from I/O (`sender`, `worker`).
What it does not do: it writes no event and knows no protocol or published contract.
"""
