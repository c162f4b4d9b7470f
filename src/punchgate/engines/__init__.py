"""Transport and codec put together, one module per way in; async and thin.

No parsing and no rules: bytes become events in `protocols/`, events become facts in `usecases/`,
and that is also the only way to the store.
"""
