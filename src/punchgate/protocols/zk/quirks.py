"""What is known of single models and firmwares, with its evidence.

A hint and never a rule: a layout is believed when the rows fit it (`choice.py`), and whatever is
not listed here is found out the same way.

Source: docs/protocols/zk-4370.md, "Quirks".
"""

from dataclasses import dataclass
from typing import Final

from punchgate.protocols.zk.layouts import LayoutName


@dataclass(frozen=True, slots=True)
class Quirk:
    """One row: which terminals, what they do, and how we know.

    Shapes:  `platform`, `model` and `firmware` are parts of what the terminal says of itself; an
             empty one says nothing.
    """

    terminal: str
    evidence: str
    platform: str = ""
    model: str = ""
    firmware: str = ""
    user_bytes: int | None = None
    layout: LayoutName | None = None
    #: Sizes of attendance events that were seen.
    event_bytes: int | None = None
    free_sizes_bytes: int | None = None
    #: Rows of the user table with permission 0x31 are finger slots.
    has_finger_slots: bool = False
    #: Nothing that the plain ATTLOG_RRQ answers is a row.
    is_plain_unusable: bool = False
    #: Its counters may say 0 though there are records.
    has_false_counts: bool = False
    note: str = ""

    def fits(self, *, platform: str, model: str, firmware: str) -> bool:
        """Say whether a terminal that says this of itself is one of these."""
        named = [
            (self.platform, platform),
            (self.model, model),
            (self.firmware, firmware),
        ]
        asked = [(own, said) for own, said in named if own]
        return bool(asked) and all(own.lower() in said.lower() for own, said in asked)


QUIRKS: Final = (
    Quirk(
        "F19", "15 packets of one device, public notes",
        platform="ZEM760_TFT", user_bytes=72, layout="40", event_bytes=32,
    ),
    Quirk(
        "F18/ID", "counters of one device, public report",
        model="F18", firmware="6.60 Apr", user_bytes=72, layout="40", free_sizes_bytes=92,
    ),
    Quirk(
        "K40", "a whole conversation, public report",
        model="K40", user_bytes=72, layout="40", is_plain_unusable=True,
        note="DATA packets have session 0, the acknowledgement behind them the size.",
    ),
    Quirk(
        "ZEM500", "three rows, public report",
        platform="ZEM500", user_bytes=28, layout="8B", note="A wrong year if read as 8A.",
    ),
    Quirk(
        "MA300, MA300-BT", "one report",
        model="MA300", user_bytes=28, layout="8B", note="A wrong year if read as 8A.",
    ),
    Quirk(
        "unknown, 6.60 of August 2015", "38 rows, public report",
        firmware="6.60 Aug", layout="16",
        note="The order of method and state may be swapped: setting zk.order16.",
    ),
    Quirk(
        "QF-001", "one live event, public notes",
        platform="ZEM600_TFT", event_bytes=32,
    ),
    Quirk(
        "TM-616", "one report",
        platform="ZLM60_TFT", layout="40",
        note="Reads without being disabled; 1,000 rows in about a second.",
    ),
    Quirk(
        "SpeedFace-V5L", "width certain from five reports; the tail is our reading",
        platform="ZAM170", user_bytes=72, layout="49", note="~PIN2Width 14.",
    ),
    Quirk(
        "MB560-VL", "width certain, public code",
        model="MB560-VL", user_bytes=72, layout="49",
    ),
    Quirk(
        "Mini TA", "one report of rows with uid 255",
        model="Mini TA", layout="49",
    ),
    Quirk(
        "SpeedFace-H5L", "counters of one device, public report",
        model="SpeedFace-H5L", free_sizes_bytes=112, has_false_counts=True,
        note="One answers the log with 4989. Set to access control it may keep no log: use push.",
    ),
    Quirk(
        "WL10", "one report",
        model="WL10", user_bytes=72, layout="22", has_finger_slots=True,
        note="Counters refused; the session field of bulk packets is garbled.",
    ),
    Quirk(
        "AK3750WIFI", "one report",
        platform="AK3750WIFI_TFT", user_bytes=72, layout="22", has_finger_slots=True,
        note="Counters refused; the session field of bulk packets is garbled.",
    ),
    Quirk(
        "WL20", "one report",
        model="WL20", free_sizes_bytes=4, note="The counters want an argument for each value.",
    ),
)  # fmt: skip


def find(*, platform: str = "", model: str = "", firmware: str = "") -> Quirk | None:
    """Give the first row that a terminal's own words fit."""
    for quirk in QUIRKS:
        if quirk.fits(platform=platform, model=model, firmware=firmware):
            return quirk
    return None
