"""The checks of the ledger: each of them has to notice what it is there for.

Pure: invented ledgers beside invented stores. A check that never fails is no check.
"""

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from punchgate.domain import punch
from tests.journeys import ledger
from tests.journeys.fleet import Load

BODY = '{"user_id":"1001","att_time":"2026-06-21 09:30:00","att_state":1,"input_type":50}'
#: What the rule of derived ids makes of it, worked out once with `sha256sum`.
ID = "01KVMR7XE027M82NSCFD7T4QAR"
OTHER = '{"user_id":"1002","att_time":"2026-06-21 09:30:00"}'
POISONED = '{"user_id":"1001","att_time":"yesterday"}'
QUARANTINE_ID = "01KVM5BQEGHRTW5K9VYSJ1QPRE"
SERIAL = "SN7A2300583"


def book() -> ledger.Ledger:
    return ledger.Ledger(
        Path("nowhere"),
        sent={1: (SERIAL, BODY), 2: (SERIAL, BODY), 3: (SERIAL, OTHER), 4: (SERIAL, POISONED)},
        acked={1: ("recorded", ID), 2: ("duplicate", ID), 4: ("quarantined", QUARANTINE_ID)},
    )


KEPT = ledger.Kept([ID], [ID], {QUARANTINE_ID: POISONED.encode()})


def test_a_store_that_kept_what_it_acknowledged_passes() -> None:
    ledger.check(book(), KEPT)


def test_what_was_stored_without_an_acknowledgement_passes_too() -> None:
    other = str(ledger.punch_id(SERIAL, OTHER))
    ledger.check(book(), KEPT._replace(punches=[ID, other], events=[other, ID]))


@pytest.mark.parametrize(
    ("kept", "sentence"),
    [
        (KEPT._replace(punches=[], events=[]), "L1: 1 was acknowledged"),
        (KEPT._replace(quarantine={QUARANTINE_ID: b"{}"}), "L1: 4 is not as it was sent"),
        (KEPT._replace(punches=[ID, "X" * 26], events=[ID, "X" * 26]), "L2: never sent"),
        (KEPT._replace(quarantine={**KEPT.quarantine, "Q": b"{}"}), "L2: quarantined"),
        (KEPT._replace(punches=[ID, ID]), "L3: a punch has two rows"),
        (KEPT._replace(events=[]), "L3: not one event"),
        (KEPT._replace(events=[ID, ID]), "L3: not one event"),
        (
            KEPT._replace(quarantine={**KEPT.quarantine, "Q": POISONED.encode()}),
            "L3: the same bytes",
        ),
    ],
)
def test_a_store_that_did_not_is_found_out(kept: ledger.Kept, sentence: str) -> None:
    with pytest.raises(AssertionError, match=sentence):
        ledger.check(book(), kept)


def test_a_lost_quarantine_row_is_found_out() -> None:
    with pytest.raises(KeyError):
        ledger.check(book(), KEPT._replace(quarantine={}))


def test_an_acknowledgement_with_the_id_of_another_punch_is_found_out() -> None:
    wrong = replace(book(), acked={3: ("recorded", ID)})
    with pytest.raises(AssertionError, match="L1: 3 was taken for another punch"):
        ledger.check(wrong, KEPT)


def test_a_fleet_that_ended_in_peace_has_every_punch_stored() -> None:
    with pytest.raises(AssertionError, match="L3: each sent punch is one row"):
        ledger.check_complete(book(), KEPT)


def test_the_id_that_the_ledger_derives_is_the_one_of_the_domain() -> None:
    at = datetime(2026, 6, 21, 9, 30)  # noqa: DTZ001 (wall times have no zone)
    derived = punch.derive_id("main", SERIAL, "1001", at, "2026-06-21 09:30:00", 1)
    assert ledger.punch_id(SERIAL, BODY) == derived == ID
    undirected = punch.derive_id("main", SERIAL, "1002", at, "2026-06-21 09:30:00", None)
    assert ledger.punch_id(SERIAL, OTHER) == undirected
    assert ledger.punch_id(SERIAL, POISONED) is None


def test_a_ledger_is_read_as_far_as_its_last_whole_line(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    lines = [
        json.dumps({"sent": 1, "serial": SERIAL, "body": BODY}),
        json.dumps({"acked": 1, "status": "recorded", "id": ID}),
        json.dumps({"failed": [2], "trouble": "refused"}),
    ]
    text = "\n".join(lines) + "\n"
    book = ledger.Ledger(path)
    for end in range(len(text) + 1):
        path.write_text(text[:end])
        book.read()
        assert len(book.acked) == (end > len(lines[0]) + 1 + len(lines[1]))
    assert (book.sent, book.acked) == ({1: (SERIAL, BODY)}, {1: ("recorded", ID)})
    assert book.troubles == ["refused"]


def test_the_load_of_a_device_has_everything_in_it_that_a_device_may_do() -> None:
    load = Load(1, seed=7)
    uploads = [load.upload() for _ in range(200)]
    items = [item for upload in uploads for item in upload]
    bodies = [item.body.decode() for item in items]
    assert len({item.number for item in items}) == len(items)
    assert len(set(bodies)) < len(bodies)
    assert {len(upload) == 1 for upload in uploads} == {True, False}
    poisoned = sum(ledger.punch_id(SERIAL, body) is None for body in bodies)
    assert 0 < poisoned < len(bodies) / 10
