"""What a report calls people and devices; removed devices keep the name that they had."""

from collections.abc import Collection

from sqlalchemy import Connection, select

from punchgate.domain.ids import AccountNo, DeviceId, PersonNo, UserCode
from punchgate.domain.person import Person
from punchgate.store import schema


def people(
    tx: Connection, account: AccountNo, numbers: Collection[PersonNo]
) -> dict[PersonNo, Person]:
    """Give people by their numbers, at most a page of them; whoever was erased has no name."""
    table = schema.person
    rows = tx.execute(
        select(table).where(table.c.account == account, table.c.person_no.in_(numbers))
    )
    return {
        PersonNo(row.person_no): Person(
            account,
            PersonNo(row.person_no),
            UserCode(row.user_code),
            row.name,
            row.custom_id,
            row.type,
        )
        for row in rows
    }


def devices(tx: Connection, account: AccountNo, ids: Collection[DeviceId]) -> dict[DeviceId, str]:
    """Give the text to show for each of a page's devices: its name, else its serial."""
    table = schema.device
    rows = tx.execute(
        select(table.c.device_id, table.c.name, table.c.serial).where(
            table.c.account == account, table.c.device_id.in_(ids)
        )
    )
    return {DeviceId(row.device_id): row.name or row.serial for row in rows}
