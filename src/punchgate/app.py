"""The composition root: settings in, running system out; by hand, in order. It owns the clock.

    settings ─> store ─> context ─> contracts ─> listeners
                  └────> workers (presence, keys, workdays, log lines)

Stopping is the same list backwards: not ready any more, listeners finish what they have read,
workers end, the writer drains, the files are closed. `kill -9` loses no more than that does.
"""

import asyncio
import gc
import ipaddress
import secrets
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import uvloop

from punchgate import __version__, registry, telemetry
from punchgate.config import Settings
from punchgate.contracts import ingest_v1, manage_v1, report_v1, terminals_rest
from punchgate.delivery.sender import Sender
from punchgate.delivery.state import Tools
from punchgate.delivery.worker import Deliveries
from punchgate.domain.error import PunchgateError
from punchgate.engines import terminals
from punchgate.engines.terminals import Terminals
from punchgate.facades import zk
from punchgate.httpkit import server
from punchgate.httpkit.edge import Edge
from punchgate.httpkit.health import Health
from punchgate.httpkit.router import Mount, Router
from punchgate.reports.terminal_view import Scope, TerminalView
from punchgate.runtime import Supervisor, Worker, every, paced
from punchgate.store import database, installation
from punchgate.store.opening import open_store
from punchgate.usecases import (
    accounts,
    attempts,
    clocks,
    facade_notices,
    gauges,
    keys,
    punches,
    quarantine,
    transitions,
    workdays,
)
from punchgate.usecases.context import Context
from punchgate.usecases.directory import Directory
from punchgate.usecases.log import Log
from punchgate.usecases.presence import Presence


def now() -> int:
    """Give the time that is stored: milliseconds since 1970-01-01 UTC."""
    return time.time_ns() // 1_000_000


def uptime() -> float:
    """Give the seconds since the machine was started, its sleep included: nobody can set those."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@dataclass(frozen=True, slots=True)
class Running:
    """Where a running gateway listens; empty texts where a listener was not asked for."""

    http: str
    devices: str
    facade: str


@asynccontextmanager
async def open_context(
    settings: Settings, *, serving: bool = False, may_create: bool = True
) -> AsyncIterator[Context]:
    """Open everything that verbs need, for one command or for a server.

    Errors:  StoreOutdated, StoreUnsafe, StoreUnavailable; NotFound for data that may not be made.
    """
    where = database.address(settings.database_url)
    async with open_store(
        where, is_serving=serving, now=now(), may_create=may_create, writes_apart=serving
    ) as store:
        yield Context(
            database=store.database,
            writer=store.writer,
            directory=Directory(
                store.database, default_zone=settings.default_zone, monotonic=time.monotonic
            ),
            presence=Presence(),
            log=Log(store.database),
            readers=registry.READERS,
            vault=settings.vault(),
            targets=settings.delivery.rules(),
            reach=settings.terminals.reach(),
        )


def spare_the_collector() -> None:
    """Look for cycles among what is young, a little at a time, and hardly ever among all there is.

    What is loaded by now stays for ever, and a punch leaves no cycles behind: looking through all
    of it every few hundred punches cost one part in twenty. Hundreds of requests that are half done
    hold thousands of objects, in which there is nothing to be found either. A pass holds the loop:
    over 50,000 young objects for 30 milliseconds, over what a thousand terminals keep for 50 and
    more; at most 30,000 are young.
    """
    gc.freeze()
    gc.set_threshold(10_000, 2, 1_000)


def run(settings: Settings, *, ready: Callable[[Running], None]) -> None:
    """Serve until SIGTERM or SIGINT; `ready` is called once requests are taken."""
    telemetry.configure(settings.log_level, sys.stderr)
    spare_the_collector()
    try:
        uvloop.run(serve(settings, ready=ready))
    finally:
        telemetry.SINK.flush()


async def serve(
    settings: Settings,
    *,
    ready: Callable[[Running], None],
    stop: asyncio.Event | None = None,
) -> None:
    """Serve until `stop` is set (by default by a signal), then end in order."""
    stop = stop or _stop_on_signals()
    async with AsyncExitStack() as stack:
        context = await stack.enter_async_context(open_context(settings, serving=True))
        edge = Edge(context, now, time.monotonic, stop)
        deliveries = await _deliveries(stack, context, settings)
        calls = terminals.build(
            context,
            now,
            asyncio.sleep,
            max_sessions=settings.terminals.max_sessions,
            owner=_sole_server(settings),
        )
        await calls.begin()
        stack.push_async_callback(_at_last, calls.close)
        supervisor = Supervisor(
            [*_workers(context, settings, deliveries), *_calling(calls)],
        )
        workers = asyncio.create_task(supervisor.run(), name="workers")
        stack.push_async_callback(_end, workers, context)
        health = Health(
            probe=partial(_probe, context),
            troubles=partial(_troubles, settings, supervisor, stop),
            gauges=partial(_measure, context, settings),
        )
        every_mount, device_mounts = _mounts(edge, settings, calls, health)
        running = Running(
            http=await _listen(stack, settings.http.listen, every_mount, stop),
            devices=await _listen(stack, settings.devices.listen, device_mounts, stop),
            facade=await _listen_facade(stack, context, settings),
        )
        telemetry.BUILD.labels(__version__).set(1)
        telemetry.say("serving", version=__version__)
        ready(running)
        await stop.wait()
        telemetry.say("stopping")
    telemetry.say("stopped")


def _mounts(
    edge: Edge, settings: Settings, calls: Terminals, health: Health
) -> tuple[list[Mount], list[Mount]]:
    """Build every contract once; give what the listener for everything carries, and for devices."""
    values = {
        "ingest_v1": ingest_v1.Settings(
            rate_requests=settings.ingest.rate_requests,
            rate_window_s=settings.ingest.rate_window_s,
            fail_requests=settings.ingest.fail_requests,
            body_max_bytes=settings.ingest.body_max_bytes,
            batch_max=settings.ingest.batch_max,
            hide_unknown_devices=settings.ingest.hide_unknown_devices,
            trusted_proxies=settings.trusted_proxies,
        ),
        "report_v1": report_v1.Settings(
            rate_requests=settings.report.rate_requests,
            rate_window_s=settings.report.rate_window_s,
            default_user_type=settings.report.default_user_type,
        ),
        "manage_v1": manage_v1.Settings(rate_requests=settings.manage.rate_requests),
        "terminals_rest": terminals_rest.Settings(
            caller=calls,
            open_networks=settings.open_networks,
            trusted_proxies=settings.trusted_proxies,
            rate_requests=settings.terminals.rate_requests,
            all_deadline_s=settings.terminals.all_deadline_s,
        ),
    }
    everything: list[Mount] = []
    devices: list[Mount] = []
    for contract in registry.CONTRACTS:
        built = contract.build(edge, values[contract.name])
        mounts = [Mount(path, built) for path in contract.paths]
        everything += mounts
        if contract.is_for_devices:
            devices += mounts
    everything += [Mount(path, health) for path in ("/livez", "/readyz", "/metrics")]
    return everything, devices


async def _deliveries(stack: AsyncExitStack, context: Context, settings: Settings) -> Deliveries:
    sender = Sender(context.targets, time.monotonic, ca_file=settings.delivery.ca_file)
    tools = Tools(
        context=context,
        slots=asyncio.Semaphore(settings.delivery.concurrency),
        now=now,
        monotonic=time.monotonic,
    )
    await stack.enter_async_context(sender)
    return Deliveries(tools, sender, registry.FORMATS, owner=secrets.token_hex(8))


def _workers(context: Context, settings: Settings, deliveries: Deliveries) -> list[Worker]:
    upkeep = partial(
        attempts.prune,
        context,
        now,
        accepted_days=settings.delivery.keep_accepted_days,
        failed_days=settings.delivery.keep_failed_days,
    )
    return [
        Worker("log", every(0.2, _flush_lines)),
        Worker("presence", every(1.0, partial(transitions.note, context, now))),
        Worker("silence", every(5.0, partial(transitions.sweep, context, now, started_at=now()))),
        Worker("keys", every(30.0, lambda: keys.note_uses(context))),
        Worker("clock", every(5.0, clocks.Watch(context, now, uptime).look)),
        Worker("clocks of devices", every(60.0, lambda: clocks.tell(context, now=now()))),
        Worker("quarantine", every(60.0, lambda: quarantine.prune(context, now=now()))),
        Worker("follow", every(0.1, context.log.poll)),
        Worker("deliveries", deliveries.run),
        Worker("attempts", every(3_600.0, upkeep)),
        Worker("workdays", paced(partial(workdays.refresh, context, now))),
    ]


def _sole_server(settings: Settings) -> str | None:
    """Name the one server that a directory can have; None where there may be several.

    Whoever has this name takes over at once what a server held that was killed.
    """
    is_alone = database.address(settings.database_url).dialect == "sqlite"
    return "server" if is_alone else None


def _calling(calls: Terminals) -> list[Worker]:
    """Read terminals by schedule; enable what a process that died has left disabled."""
    return [
        Worker("terminals", calls.run),
        Worker("terminals left disabled", paced(calls.sweep)),
    ]


async def _listen(
    stack: AsyncExitStack, text: str, mounts: list[Mount], stop: asyncio.Event
) -> str:
    if not text:
        return ""
    listener = server.listen(Router(mounts), server.Address.read(text), stopping=stop)
    return str(await stack.enter_async_context(listener))


async def _listen_facade(stack: AsyncExitStack, context: Context, settings: Settings) -> str:
    chosen = settings.facade
    if not chosen.listen:
        return ""
    account = await accounts.get(context, chosen.account)
    scope = Scope.read(chosen.scope, account.no)
    notices = facade_notices.Notices(context, account.no, str(scope), now)
    address = server.Address.read(chosen.listen)
    facade = zk.Facade(
        TerminalView(context.database, context.log, scope, most=chosen.max_rows),
        zk.Face(
            scope=scope,
            most_rows=chosen.max_rows,
            zone=chosen.zone or settings.default_zone,
            now=now,
            host=address.host,
        ),
        zk.Settings(
            key=int(chosen.key.get_secret_value()) if chosen.key else 0,
            allow=tuple(ipaddress.ip_network(text) for text in chosen.allow),
            frame_gap_s=chosen.frame_gap_ms / 1000,
        ),
        zk.Surroundings(
            pause=asyncio.sleep,
            monotonic=time.monotonic,
            note=lambda snapshot: notices.note(_findings(snapshot)),
        ),
    )
    listener = await stack.enter_async_context(zk.listening((address.host, address.port), facade))
    return str(server.Address(address.host, listener.port))


def _findings(snapshot: zk.Snapshot) -> facade_notices.Findings:
    taken, omitted = snapshot.taken, snapshot.rows.omitted
    return facade_notices.Findings(
        unfit=omitted.unfit,
        long=omitted.long,
        times=omitted.times,
        cut_at=taken.cut_at,
        devices=None if taken.devices is None else frozenset(taken.devices),
    )


async def _end(workers: asyncio.Task[None], context: Context) -> None:
    """End the workers and write what they still hold; runs after the listeners are closed."""
    workers.cancel()
    await asyncio.wait([workers])
    await _at_last(lambda: context.presence.flush(context.writer, now=now()))
    await _at_last(lambda: keys.note_uses(context))


async def _at_last(act: Callable[[], Awaitable[object]]) -> None:
    """Write what is good to have written in the end; who stops cannot wait for a store."""
    try:
        await act()
    except PunchgateError as error:
        telemetry.say("stop.unwritten", "warning", slug=error.slug)


async def _flush_lines() -> None:
    telemetry.SINK.flush()


async def _probe(context: Context) -> None:
    await context.writer.run(lambda tx: installation.probe(tx, now()))
    await punches.probe(context)


def _troubles(settings: Settings, supervisor: Supervisor, stop: asyncio.Event) -> list[str]:
    """Name what is known to be wrong without asking the store."""
    found = [f"the worker {name} keeps failing" for name in sorted(supervisor.failing)]
    if stop.is_set():
        found.append("stopping")
    free = _free_bytes(settings)
    if free < settings.disk_floor_bytes:
        found.append(f"only {free} bytes are free on the disk")
    return found


async def _measure(context: Context, settings: Settings) -> None:
    telemetry.FREE_BYTES.set(_free_bytes(settings))
    await gauges.measure(context, now)


def _free_bytes(settings: Settings) -> int:
    where = database.address(settings.database_url)
    directory = where.path.parent if where.dialect == "sqlite" else Path()
    return shutil.disk_usage(directory).free


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop
