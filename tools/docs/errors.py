"""docs/reference/errors.md, from the error classes and their sentences."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from typing import Final

import punchgate
from punchgate.domain.error import PunchgateError
from tools.docs import page

PATH: Final = "docs/reference/errors.md"
#: The base stands for what no class of ours names.
_UNFORESEEN: Final = (
    "Something that we did not foresee; the log line of the same request says more."
)


def render() -> str:
    """Render the page.

    Errors:  ValueError for an error without a sentence of its own, or two that share a slug.
    """
    found = {kind.slug: kind for kind in errors()}
    rows = []
    for slug in sorted(found):
        said = _UNFORESEEN
        if found[slug] is not PunchgateError:
            said = page.sentence(inspect.cleandoc(found[slug].__doc__ or ""))
        if not said:
            raise ValueError(f"{found[slug].__name__} has no docstring.")
        rows.append((page.code(slug), said))
    return "\n".join((
        "# Errors\n",
        page.notice("the error classes of src/punchgate/"),
        (
            "Inside, every error that a caller can act on has a slug. Each published contract maps"
            " all of them to its own\nstatus and words (docs/contracts/), the command line to its"
            " exit codes; log lines carry the slug.\n"
        ),
        page.table(("Slug", "What happened"), rows),
    ))  # fmt: skip


def errors() -> Iterator[type[PunchgateError]]:
    """List every error class of ours with a slug of its own, wherever it is declared."""
    for module in pkgutil.walk_packages(punchgate.__path__, "punchgate."):
        # Migrations run when alembic loads them, `__main__` when anybody does.
        if ".migrations" not in module.name and not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    waiting = [PunchgateError]
    while waiting:
        kind = waiting.pop()
        waiting.extend(kind.__subclasses__())
        if "slug" in vars(kind):
            yield kind
