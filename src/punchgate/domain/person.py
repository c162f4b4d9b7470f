"""A person: someone who punches, and the user code that stands for them on the wire."""

import re
from dataclasses import dataclass
from typing import Final

from punchgate.domain.ids import AccountNo, PersonNo, UserCode

#: Control characters, and halves of surrogate pairs, which no store can keep.
_UNFIT: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Person:
    """One person of an account. A code that nobody has named yet is a person without a name."""

    account: AccountNo
    no: PersonNo
    code: UserCode
    name: str | None = None
    #: The customer's own id, unique within the account.
    custom_id: str | None = None
    type: str | None = None


def is_user_code(text: str) -> bool:
    """Say whether a text may be a user code.

    Shapes:  1 to 64 characters, no control characters among them, no blanks around it.
    """
    return 0 < len(text) <= 64 and text == text.strip() and _UNFIT.search(text) is None
