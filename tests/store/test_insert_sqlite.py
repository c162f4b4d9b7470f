"""An INSERT of many rows: every row once, in order, in as few statements as fit.

Real: SQLite. Invented: the table.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from punchgate.store.insert_sqlite import CHUNK, Insert

INSERT = Insert("seen", ["a", "b"], " ON CONFLICT (a) DO UPDATE SET b = excluded.b")


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as opened:
        opened.execute("CREATE TABLE seen (a INTEGER PRIMARY KEY, b TEXT)")
        yield opened


@pytest.mark.parametrize("count", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 7])
def test_every_row_is_written_once_in_as_few_statements_as_fit(
    db: sqlite3.Connection, count: int
) -> None:
    rows = [(number, f"row {number}") for number in range(count)]

    statements = list(INSERT.statements(rows))
    for text, values in statements:
        db.execute(text, values)

    assert db.execute("SELECT a, b FROM seen ORDER BY a").fetchall() == rows
    assert len(statements) == -(-count // CHUNK)


def test_what_follows_the_rows_is_part_of_every_statement(db: sqlite3.Connection) -> None:
    for rows in ([(1, "old"), (2, "kept")], [(1, "new")]):
        for text, values in INSERT.statements(rows):
            db.execute(text, values)

    assert db.execute("SELECT a, b FROM seen ORDER BY a").fetchall() == [(1, "new"), (2, "kept")]
