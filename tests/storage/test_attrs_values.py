"""How values are compared, hashed and shown, beside the same class as attrs makes it."""

import pickle
from typing import Any

import attrs
import pytest

from aaow_storage import Contains, Ne, TokenUsage, ToolCallLog
from aaow_storage._attrs_values import Value


@attrs.frozen(eq=False, repr=False)
class Ours(Value):
    one: Any
    other: Any = attrs.field(default=0, eq=False)
    hidden: Any = attrs.field(default=0, repr=False)


@attrs.frozen
class Theirs:
    one: Any
    other: Any = attrs.field(default=0, eq=False)
    hidden: Any = attrs.field(default=0, repr=False)


@pytest.mark.parametrize("arguments", [(1,), (1, 2), (1, 0, 3), ("a", 0, 0), (True,)])
def test_values_are_compared_hashed_and_shown_as_those_of_attrs(arguments: tuple[Any, ...]):
    base, given = Ours(1), Ours(*arguments)
    assert (given == base) is (Theirs(*arguments) == Theirs(1))
    assert (given != base) is (Theirs(*arguments) != Theirs(1))
    assert (hash(given) == hash(base)) is (hash(Theirs(*arguments)) == hash(Theirs(1)))
    assert repr(given) == repr(Theirs(*arguments)).replace("Theirs", "Ours")
    with pytest.raises(TypeError, match="unhashable"):
        hash(Ours([]))


def test_values_of_two_classes_differ():
    assert Ours(1) != Theirs(1)
    assert Contains("a") != Ne("a")
    assert Ours(1) != 1


def test_a_record_is_equal_to_its_copy_and_fields_that_do_not_count_may_differ():
    usage = TokenUsage(prompt_tokens=1, completion_tokens=2, total_tokens=3)
    assert pickle.loads(pickle.dumps(usage)) == usage
    assert {usage: 1}[attrs.evolve(usage)] == 1
    call = ToolCallLog(execution_id="e", tool_call_id="c", tool_name="t", args={})
    assert attrs.evolve(call, session_id="s", node_id="n") == call
