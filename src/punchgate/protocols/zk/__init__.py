"""The pull protocol of ZKTeco-compatible terminals on port 4370, in both roles.

The wire format stands in docs/protocols/zk-4370.md. Nothing here opens a connection: an engine or a
simulator carries the bytes.
"""
