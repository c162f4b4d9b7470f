"""An endpoint whose secrets do not open: it stands still and is told of, and no other waits for it.

Real: the vault, the store, the lanes, the receiver. A wrong master key is told by damaged secrets.
"""

from functools import partial
from pathlib import Path

from punchgate.store import schema
from tests import receiver
from tests.delivery.stage import Stage, event, open_stage


async def has_problem(stage: Stage) -> bool:
    return bool(await stage.rows(schema.problem))


async def test_an_endpoint_whose_secrets_do_not_open_holds_up_no_other(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage, receiver.open() as r:
        await stage.add_endpoint(r.url("/bad"))
        await stage.add_endpoint(r.url("/good"))
        bad = schema.endpoint.c.address.like("%/bad")
        damage = schema.endpoint.update().where(bad).values(secrets=b"damaged")
        await stage.write(damage)
        await stage.tell(event("0001", 0))
        stage.deliver()
        (request,) = await r.received(1)
        assert request.target == "/good"
        await stage.until(partial(has_problem, stage), "the problem")
        (problem,) = await stage.rows(schema.problem)
        (closed,) = [one for one in await stage.rows(schema.endpoint) if one.secrets == b"damaged"]
        assert (problem.kind, problem.subject) == (
            "secrets_closed",
            f"endpoint:{closed.endpoint_id}",
        )
        assert closed.endpoint_id in problem.detail


async def test_an_endpoint_that_can_be_read_again_is_no_problem_any_more(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage, receiver.open() as r:
        await stage.add_endpoint(r.url())
        (row,) = await stage.rows(schema.endpoint)
        await stage.write(schema.endpoint.update().values(secrets=b"damaged"))
        await stage.tell(event("0001", 0))
        stage.deliver()
        await stage.until(partial(has_problem, stage), "the problem")
        # As a server is started again once its master key is back.
        await stage.stop()
        await stage.write(schema.endpoint.update().values(secrets=row.secrets))
        stage.deliver()
        await r.received(1)
        (problem,) = await stage.rows(schema.problem)
        assert (problem.times, problem.cleared_at) == (1, stage.clock())
