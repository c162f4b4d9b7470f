"""One module per step, `NNNN_what.py`; a released one is never changed."""
