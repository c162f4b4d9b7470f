"""The samples of docs/reference/webhooks.md are what is sent; nobody types them anew by hand."""

import json
import re
from pathlib import Path

import pytest

from punchgate import registry
from punchgate.domain import endpoint as domain_endpoint
from tests.delivery import samples
from tests.delivery.formats.test_golden import GOLDEN

_PAGE = (Path(__file__).parents[3] / "docs/reference/webhooks.md").read_text("utf-8")
#: These two send the body of `standard`, and the page says so.
_PRINTED = [name for name in domain_endpoint.FORMATS if name not in {"github", "stripe"}]


@pytest.mark.parametrize("name", _PRINTED)
def test_the_sample_of_a_format_is_what_is_sent(name: str) -> None:
    section = _PAGE.partition(f"\n## `{name}`\n")[2].partition("\n## ")[0]
    block = re.search(r"```(json|text)\n(.*?)```", section, re.DOTALL)
    assert block is not None
    sent = (GOLDEN / name / "punch.recorded.http").read_text("utf-8").partition("\n\n")[2]
    if block[1] == "json":
        assert json.dumps(json.loads(block[2])) == json.dumps(json.loads(sent))
    else:
        assert block[2].replace("\n", "") == sent


@pytest.mark.parametrize("name", ["github", "stripe"])
def test_the_formats_without_a_sample_send_the_body_of_standard(name: str) -> None:
    entry = samples.entry()
    bodies = [
        registry.FORMATS[one].render(entry, samples.endpoint(), "main")
        for one in ("standard", name)
    ]
    assert bodies[0] == bodies[1]


def test_the_table_says_what_each_format_carries() -> None:
    rows = re.findall(
        r"^\| `([a-z0-9-]+)` \| [^|]+ \| [^|]+ \| ([^|]+) \| ([^|]+) \|", _PAGE, re.MULTILINE
    )
    assert [name for name, _, _ in rows] == list(domain_endpoint.FORMATS)
    for name, events, batches in rows:
        form = registry.FORMATS[name]
        assert set(re.findall(r"`([a-z.]+)`", events)) == form.types
        assert (batches == "no") == (form.render_batch is None)
        assert ("at most 50" in batches) == (form.batch_max == 50)
