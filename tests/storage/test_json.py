"""The strict JSON codec: a value is read back equal and with its types, or the error names the part that is wrong."""

import math
from collections import OrderedDict, UserDict
from datetime import UTC, datetime
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aaow_storage import OMITTED, StoredWorkflow, _json
from aaow_storage.authoring import MAX_DEPTH, check_json, dumps, dumps_document, loads
from aaow_storage.errors import CorruptDataError, ValidationError

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
HUGE = 10**5000
"""More digits than Python turns into text."""
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda children: st.lists(children) | st.dictionaries(TEXTS, children),
)


class Colour(StrEnum):
    RED = "red"


class Number(IntEnum):
    ONE = 1


class Text(str):
    __slots__ = ()


def typed(value: object) -> object:
    """Return the value with the type of every part, and the order of every key."""
    if isinstance(value, dict):
        return ("dict", [(key, typed(item)) for key, item in value.items()])
    if isinstance(value, list):
        return ("list", [typed(item) for item in value])
    return (type(value).__name__, repr(value))


def nested(depth: int) -> object:
    value: object = "leaf"
    for level in range(depth):
        value = [value] if level % 2 else {"k": value}
    return value


@given(JSON_VALUES)
def test_every_value_comes_back_with_its_types_and_the_order_of_its_keys(value: Any):
    assert typed(loads(dumps(value))) == typed(value)


@pytest.mark.parametrize(
    "value",
    [
        [None, False, 0, 0.0, -0.0, "", [], {}],
        [1, 1.0, True],
        [-(2**63), 2**63, 2**64 - 1],
        [5e-324, 1.7976931348623157e308, 0.1, 1e16, 123456789.123456789],
        {"b": 1, "a": 2, "": 3, "a.b": 4, "$": 5, "\x00": "\x00", "\u2028": "😀\U0010ffff\ud7ff\ue000"},
    ],
)
def test_values_that_are_nearly_the_same_stay_different(value: Any):
    assert typed(loads(dumps(value))) == typed(value)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (math.nan, "must be finite"),
        (math.inf, "must be finite"),
        (-math.inf, "must be finite"),
        (2**64, "from -2**63 to 2**64-1"),
        (-(2**63) - 1, "from -2**63 to 2**64-1"),
        pytest.param(HUGE, "from -2**63 to 2**64-1", id="huge"),
        ("\ud800", "lone surrogate at index 0"),
        ("ok \udfff", "lone surrogate at index 3"),
        ((1, 2), "tuple is not JSON"),
        ({1, 2}, "set is not JSON"),
        (b"bytes", "bytes is not JSON"),
        (Decimal(1), "Decimal is not JSON"),
        (datetime(2026, 1, 1, tzinfo=UTC), "datetime is not JSON"),
        (Colour.RED, "Colour is not JSON"),
        (Number.ONE, "Number is not JSON"),
        (Text("text"), "Text is not JSON"),
        (OrderedDict(a=1), "OrderedDict is not JSON"),
        (UserDict(a=1), "UserDict is not JSON"),
        (object(), "object is not JSON"),
        (OMITTED, "was left out by QueryFilter(documents=False)"),
    ],
)
def test_what_would_come_back_changed_is_refused_with_its_place(value: Any, problem: str):
    for document, field in (
        (value, "definition"),
        ({"root": {"nodes": [0, 1, {"timeout": value}]}}, "definition.root.nodes[2].timeout"),
        ({"a key": [value]}, "definition['a key'][0]"),
    ):
        with pytest.raises(ValidationError) as caught:
            dumps(document, record="StoredWorkflow", field="definition")
        assert (caught.value.record, caught.value.field) == ("StoredWorkflow", field)
        assert problem in caught.value.problem


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        (1, "a key is int; keys must be str"),
        (None, "a key is NoneType"),
        pytest.param(HUGE, "a key is int", id="huge"),
        (Text("text"), "a key is Text"),
        ("\ud800", "lone surrogate"),
    ],
)
def test_a_key_that_is_not_text_is_refused_with_its_place(key: Any, problem: str):
    with pytest.raises(ValidationError) as caught:
        check_json({"nodes": [{"fine": 1, key: 2}]})
    assert caught.value.field == "value.nodes[0]"
    assert problem in caught.value.problem
    assert str(caught.value).isprintable()


def test_the_deepest_document_comes_back_and_a_deeper_one_is_refused():
    assert loads(dumps(nested(MAX_DEPTH))) == nested(MAX_DEPTH)
    with pytest.raises(ValidationError, match=f"at most {MAX_DEPTH} deep"):
        dumps(nested(MAX_DEPTH + 1))


def test_a_document_that_holds_itself_is_refused():
    document: dict[str, object] = {}
    document["self"] = document
    with pytest.raises(ValidationError, match="deep"):
        dumps(document)


def test_a_document_may_be_checked_far_down_the_stack():
    def further(frames: int) -> None:
        if frames:
            further(frames - 1)
        else:
            check_json(nested(MAX_DEPTH))

    further(500)


@pytest.mark.parametrize("text", ["", "{", "nul", "NaN", "[1,]", b"\xff", "'a'"])
def test_a_stored_text_that_is_not_json_is_corrupt_data(text: Any):
    with pytest.raises(CorruptDataError, match="not JSON"):
        loads(text)


def test_the_text_is_compact_and_keeps_characters_as_they_are():
    assert dumps({"b": [1, "é"], "a": None}) == '{"b":[1,"é"],"a":null}'


LARGE: dict[str, Any] = {"nodes": [{"id": f"node {number}", "config": {"a": number}} for number in range(20_000)]}


def test_a_large_document_is_checked_once(monkeypatch: pytest.MonkeyPatch):
    workflow = StoredWorkflow(name="large", version="1", definition=LARGE)
    walked: list[object] = []
    monkeypatch.setattr(_json, "_first_problem", lambda value, depth: walked.append(value))
    assert loads(dumps_document(workflow.definition)) == LARGE
    assert loads(dumps(workflow.definition)) == LARGE
    assert walked == []


@pytest.mark.parametrize("wrong", [(1, 2), math.nan, Text("text"), Colour.RED, 2**64, "\ud800"])
def test_a_large_document_that_was_changed_since_it_was_checked_is_checked_again(wrong: Any):
    document = {**LARGE, "nodes": [*LARGE["nodes"], [1, 2]]}
    workflow = StoredWorkflow(name="large", version="1", definition=document)
    document["nodes"][-1] = wrong
    for encode in (dumps, dumps_document):
        with pytest.raises(ValidationError) as caught:
            encode(workflow.definition, record="StoredWorkflow", field="definition")
        assert caught.value.field == "definition.nodes[20000]"
    document["nodes"][-1] = [1, 2.0]
    assert typed(loads(dumps_document(workflow.definition))) == typed(document)
