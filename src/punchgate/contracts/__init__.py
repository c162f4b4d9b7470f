"""The published APIs. One package is one promise; none knows another, and their names stop at their `shapes.py`."""
