"""Query strings, as they come from clients. Pure; nothing is simulated."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from punchgate.httpkit import query


def read(text: bytes) -> dict[str, list[str]]:
    return query.read({"query_string": text})


@pytest.mark.parametrize(
    ("text", "values"),
    [
        (b"", {}),
        (b"a=1", {"a": ["1"]}),
        (b"a=1&b=2&a=3", {"a": ["1", "3"], "b": ["2"]}),
        # A parameter without a value counts as not given.
        (b"a=&b&c=1&", {"c": ["1"]}),
        (b"a=&a=1", {"a": ["1"]}),
        (b"a=x+y%20z%2B", {"a": ["x y z+"]}),
        (b"a=%C3%84&%C3%84=1", {"a": ["Ä"], "Ä": ["1"]}),
        (b"a=1;b=2", {"a": ["1;b=2"]}),
        (b"a=b=c", {"a": ["b=c"]}),
        (b"a=%FF&b=%zz&c=%", {"a": ["\ufffd"], "b": ["%zz"], "c": ["%"]}),
        (b"a=1%002&b=%00", {"a": ["1\ufffd2"], "b": ["\ufffd"]}),
    ],
)
def test_parameters_are_split_and_decoded(text: bytes, values: dict[str, list[str]]) -> None:
    assert read(text) == values


@given(st.binary(max_size=200))
def test_no_query_string_raises(text: bytes) -> None:
    for name, values in read(text).items():
        assert values
        assert all(values)
        "".join((name, *values)).encode()
