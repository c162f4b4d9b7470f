"""The published APIs: one package is one promise.

None knows another, and published names stop at each one's `shapes.py`.
"""
