"""The base of our errors: a slug and a sentence, never a status code.

Each contract has a total table from slugs to its own statuses and words; the command line maps them
to exit codes. An error is declared where it is raised; only those that several nouns raise are
declared here.
"""

from typing import ClassVar


class PunchgateError(Exception):
    """Something that a caller can act on.

    `str(error)` is a sentence for a person: what happened, and what to do.
    """

    slug: ClassVar[str] = "internal"


class NotFound(PunchgateError):
    """Nothing of that name in this account."""

    slug = "not_found"


class AlreadyExists(PunchgateError):
    """That name is taken."""

    slug = "already_exists"


class Invalid(PunchgateError):
    """A value that we cannot accept; the sentence names it and says what would do."""

    slug = "invalid"


class Refused(PunchgateError):
    """A request that is understood and not carried out; the sentence says why."""

    slug = "refused"
