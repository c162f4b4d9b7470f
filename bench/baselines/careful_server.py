"""The careful rival: FastAPI and aiosqlite, WAL with `synchronous=FULL`, a commit per request.

What a good engineer writes who knows SQLite and does not group: the token is compared in memory,
the row is one `INSERT OR IGNORE`, a lock keeps one request's statements out of another's
transaction, and the answer follows the commit. It is a rival in a benchmark and no example to copy.
"""

import argparse
import asyncio
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated

import aiosqlite
import uvicorn
from fastapi import FastAPI, Header, HTTPException
from pydantic import BaseModel

_SCHEMA = """
CREATE TABLE IF NOT EXISTS punch (
  id INTEGER PRIMARY KEY,
  sn TEXT NOT NULL,
  user_id TEXT NOT NULL,
  att_time TEXT NOT NULL,
  att_state INTEGER NOT NULL,
  input_type INTEGER NOT NULL,
  received_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
  UNIQUE (att_time, sn, user_id, att_state)
)"""
_INSERT = (
    "INSERT OR IGNORE INTO punch (sn, user_id, att_time, att_state, input_type)"
    " VALUES (?, ?, ?, ?, ?)"
)


class PunchIn(BaseModel):
    """The published body."""

    user_id: str
    att_time: datetime
    att_state: int = 255
    input_type: int = 9


def build(path: str, serial: str, token: str) -> FastAPI:
    """Build the app on a SQLite file."""
    tokens = {serial: token}
    lock = asyncio.Lock()
    opened: list[aiosqlite.Connection] = []

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with aiosqlite.connect(path) as db:
            await db.execute("PRAGMA journal_mode=WAL")
            await db.execute("PRAGMA synchronous=FULL")
            await db.execute(_SCHEMA)
            await db.commit()
            opened.append(db)
            yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/readyz")
    async def readyz() -> dict[str, bool]:
        return {"ok": True}

    @app.post("/api/attendance/v1/punch")
    async def punch(
        body: PunchIn,
        sn: Annotated[str, Header()],
        auth_token: Annotated[str, Header()],
    ) -> dict[str, bool]:
        if not hmac.compare_digest(tokens.get(sn, ""), auth_token):
            raise HTTPException(401)
        row = (sn, body.user_id, str(body.att_time), body.att_state, body.input_type)
        (db,) = opened
        async with lock:
            await db.execute(_INSERT, row)
            await db.commit()
        return {"ok": True}

    return app


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--database", required=True)
    parser.add_argument("--serial", required=True)
    parser.add_argument("--token", required=True)
    given = parser.parse_args()
    app = build(given.database, given.serial, given.token)
    uvicorn.run(app, host="127.0.0.1", port=given.port, access_log=False, log_level="warning")


if __name__ == "__main__":
    main()
