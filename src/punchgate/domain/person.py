"""A person: someone who punches, and the user code that stands for them on the wire."""

from dataclasses import dataclass

from punchgate.domain.ids import AccountNo, PersonNo, UserCode


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
    """Say whether a text may be a user code: 1 to 64 characters, no control characters, no blanks around it."""
    return 0 < len(text) <= 64 and text == text.strip() and text.isprintable()
