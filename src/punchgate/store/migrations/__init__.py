"""The migrations: numbered, linear, forward only. `store/migrate.py` runs them."""
