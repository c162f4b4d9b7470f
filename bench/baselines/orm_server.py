"""The usual rival: FastAPI and the SQLAlchemy ORM, a session and a commit for each request.

The way attendance back ends are written today; the token is looked up in a table. On SQLite (WAL,
`synchronous=FULL`) the endpoint is a plain function on FastAPI's threads; on PostgreSQL it is a
coroutine with an `AsyncSession` over asyncpg, the driver that we use as well. It is a rival in a
benchmark and no example to copy.
"""

import argparse
import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from typing import Annotated, Any

import uvicorn
import uvloop
from fastapi import Depends, FastAPI, Header, HTTPException
from pydantic import BaseModel
from sqlalchemy import UniqueConstraint, create_engine, event, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker


class Base(DeclarativeBase):
    """The models."""


class Device(Base):
    """A device with its token."""

    __tablename__ = "device"
    id: Mapped[int] = mapped_column(primary_key=True)
    sn: Mapped[str] = mapped_column(unique=True)
    token: Mapped[str]


class PunchRow(Base):
    """A punch; the constraint is what makes a resend harmless."""

    __tablename__ = "punch"
    __table_args__ = (UniqueConstraint("device_id", "user_id", "att_time", "att_state"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    device_id: Mapped[int] = mapped_column(index=True)
    user_id: Mapped[str] = mapped_column(index=True)
    att_time: Mapped[datetime] = mapped_column(index=True)
    att_state: Mapped[int]
    input_type: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(default=datetime.now)


class PunchIn(BaseModel):
    """The published body."""

    user_id: str
    att_time: datetime
    att_state: int = 255
    input_type: int = 9


def build_sqlite(path: str, serial: str, token: str) -> FastAPI:
    """Build the app on a SQLite file."""
    engine = create_engine(
        f"sqlite:///{path}", connect_args={"check_same_thread": False, "timeout": 30}
    )

    @event.listens_for(engine, "connect")
    def settings(connection: sqlite3.Connection, _: object) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")

    Base.metadata.create_all(engine)
    make_session = sessionmaker(engine)
    with make_session() as session:
        session.add(Device(sn=serial, token=token))
        session.commit()

    def get_session() -> Iterator[Session]:
        with make_session() as session:
            yield session

    app = _app()

    @app.post("/api/attendance/v1/punch")
    def punch(
        body: PunchIn,
        sn: Annotated[str, Header()],
        auth_token: Annotated[str, Header()],
        session: Annotated[Session, Depends(get_session)],
    ) -> dict[str, bool]:
        device = session.scalar(select(Device).where(Device.sn == sn))
        session.add(_row(device, auth_token, body))
        try:
            session.commit()
        except IntegrityError:
            session.rollback()
        return {"ok": True}

    @app.post("/api/attendance/v1/punches")
    def punches(
        body: list[PunchIn],
        sn: Annotated[str, Header()],
        auth_token: Annotated[str, Header()],
        session: Annotated[Session, Depends(get_session)],
    ) -> dict[str, bool]:
        device = session.scalar(select(Device).where(Device.sn == sn))
        session.add_all([_row(device, auth_token, item) for item in body])
        session.commit()
        return {"ok": True}

    return app


async def build_postgresql(url: str, serial: str, token: str) -> FastAPI:
    """Build the app on a PostgreSQL database."""
    engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://"))
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    make_session = async_sessionmaker(engine)
    async with make_session() as session:
        session.add(Device(sn=serial, token=token))
        await session.commit()

    async def get_session() -> AsyncIterator[AsyncSession]:
        async with make_session() as session:
            yield session

    app = _app()

    @app.post("/api/attendance/v1/punch")
    async def punch(
        body: PunchIn,
        sn: Annotated[str, Header()],
        auth_token: Annotated[str, Header()],
        session: Annotated[AsyncSession, Depends(get_session)],
    ) -> dict[str, bool]:
        device = await session.scalar(select(Device).where(Device.sn == sn))
        session.add(_row(device, auth_token, body))
        try:
            await session.commit()
        except IntegrityError:
            await session.rollback()
        return {"ok": True}

    return app


def _app() -> FastAPI:
    app = FastAPI()

    @app.get("/readyz")
    async def readyz() -> dict[str, bool]:
        return {"ok": True}

    return app


def _row(device: Device | None, token: str, body: PunchIn) -> PunchRow:
    if device is None or device.token != token:
        raise HTTPException(401)
    return PunchRow(
        device_id=device.id,
        user_id=body.user_id,
        att_time=body.att_time,
        att_state=body.att_state,
        input_type=body.input_type,
    )


async def _serve_postgresql(url: str, serial: str, token: str, settings: dict[str, Any]) -> None:
    app = await build_postgresql(url, serial, token)
    await uvicorn.Server(uvicorn.Config(app, **settings)).serve()


def main() -> None:
    """Serve until stopped; `--database` is a file, or the address of a PostgreSQL database."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--database", required=True)
    parser.add_argument("--serial", required=True)
    parser.add_argument("--token", required=True)
    given = parser.parse_args()
    settings: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": given.port,
        "access_log": False,
        "log_level": "warning",
    }
    if given.database.startswith("postgresql://"):
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve_postgresql(given.database, given.serial, given.token, settings))
    else:
        uvicorn.run(build_sqlite(given.database, given.serial, given.token), **settings)


if __name__ == "__main__":
    main()
