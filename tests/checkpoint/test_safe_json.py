"""Safe JSON: the same values as Python's own parser, within bounds."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrnn.checkpoint.safetensors_file import dump, parse

_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**128), 2**128)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(_values)
def test_dump_and_parse_round_trip(value) -> None:
    text = dump([value], values=1000, depth=20)
    assert text.isascii()
    assert parse(text, values=1000, depth=20) == [value]


def outcome(parser, text: str):
    """What a parser makes of a text, in a list; None if it refuses it."""
    try:
        return [parser(text)]
    except ValueError:
        return None


def without_twins(pairs):
    if len(dict(pairs)) != len(pairs):
        raise ValueError("twins")
    return dict(pairs)


@given(st.text(alphabet='{}[],:"\\a1 \n', max_size=30))
def test_parser_accepts_the_same_texts_as_python(text: str) -> None:
    strict = outcome(lambda text: parse(text, values=100, depth=30), text)
    assert strict == outcome(lambda text: json.loads(text, object_pairs_hook=without_twins), text)


@pytest.mark.parametrize("text", ["[1,2,3]", '{"a":1,"b":2}', '{"a":[]}', '["a","b,[{"]', '{"a":"b","c":"d"}'])
def test_number_of_values_is_bounded(text: str) -> None:
    assert parse(text, values=4) == json.loads(text)
    with pytest.raises(ValueError, match="more than 2 values"):
        parse(text, values=2)


def test_nesting_depth_is_bounded_exactly() -> None:
    assert parse("[[[]]]", values=9, depth=3) == [[[]]]
    with pytest.raises(ValueError, match="nested more than 3 deep"):
        parse("[[[[]]]]", values=9, depth=3)
    assert parse('"[[[["', values=9, depth=3) == "[[[["
    assert parse(r'"\"[[[["', values=9, depth=3) == '"[[[['


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [float("-inf")]])
def test_only_finite_numbers_are_dumped(value) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        dump(value, values=9)
