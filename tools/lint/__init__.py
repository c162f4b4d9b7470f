"""Our own lints: what ruff, mypy and import-linter cannot say, each with a message that teaches."""
