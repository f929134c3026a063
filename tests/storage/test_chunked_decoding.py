"""A long JSON text that is decoded in chunks gives the same value as one that is decoded at once."""

import gc
import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aaow_storage import _chunked_decoding
from aaow_storage._chunked_decoding import decode, decoding

AWKWARD = ["", "a", '"', "\\", '\\"', "[{,", "}]", '","', "é" * 3, "\0\n", "x" * 90, '"},{"a":']
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.sampled_from([0.5, 1e300])
    | st.sampled_from(AWKWARD),
    lambda children: st.lists(children, max_size=20) | st.dictionaries(st.sampled_from(AWKWARD), children),
    max_leaves=60,
)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, size in {"CHUNK_CHARS": 40, "MIN_CHUNKED_CHARS": 60, "FORWARD_CHARS": 25, "BACKWARD_PARTS": 3}.items():
        monkeypatch.setattr(_chunked_decoding, name, size)


def in_steps(text: str) -> tuple[Any, int]:
    """Return what a text holds, and in how many steps it was decoded."""
    steps, count = decoding(text), 0
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value, count
        count += 1


@given(VALUES)
def test_a_text_decoded_in_chunks_gives_the_value_of_one_decoded_at_once(value: Any):
    text = orjson.dumps(value).decode()
    assert orjson.dumps(decode(text)).decode() == text


@given(VALUES, st.integers(0), st.sampled_from(["", '"', ",", "}", "]", "{", "[", "\\", "x", " "]), st.integers(0, 1))
def test_a_damaged_text_is_refused_or_decoded_as_it_is_at_once(value: Any, at: int, put: str, gone: int):
    text = orjson.dumps(value).decode()
    at %= len(text)
    damaged = text[:at] + put + text[at + gone :]
    try:
        expected = json.dumps(orjson.loads(damaged))
    except orjson.JSONDecodeError:
        with pytest.raises(orjson.JSONDecodeError):
            decode(damaged)
    else:
        assert json.dumps(decode(damaged)) == expected


@pytest.mark.parametrize(
    "value",
    [
        {"name": "w", "nodes": [{"id": f"n{number}", "config": {"a": [1, 2]}} for number in range(50)]},
        {f"node {number}": {"id": number, "text": 'a "quoted" \\ text'} for number in range(50)},
        [[number, [number]] for number in range(50)],
        [*range(200)],
        {"a": {"b": {"c": ["x" * 30] * 30, "d": "y" * 300}}, "e": [[], {}, "", None] * 20},
    ],
)
def test_a_long_text_takes_several_steps(value: Any):
    found, steps = in_steps(orjson.dumps(value).decode())
    assert found == value
    assert steps > 5


def test_the_garbage_collector_stays_on_or_off():
    text = orjson.dumps([{"a": number} for number in range(99)]).decode()
    assert gc.isenabled()
    decode(text)
    assert gc.isenabled()
    gc.disable()
    try:
        decode(text)
        assert not gc.isenabled()
    finally:
        gc.enable()
