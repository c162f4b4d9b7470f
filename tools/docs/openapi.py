"""docs/reference/openapi.json, from the operations that the registry knows."""

import json
from typing import Final

PATH: Final = "docs/reference/openapi.json"


def render() -> str:
    """Render the description of every published contract as one OpenAPI document."""
    # Here, so that the other pages can be rendered while the registry cannot be imported.
    from punchgate import registry  # noqa: PLC0415 (above)

    return json.dumps(registry.openapi(), indent=2, ensure_ascii=False) + "\n"
