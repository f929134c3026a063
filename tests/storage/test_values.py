"""Values of other classes than a field's own: made plain, or refused with what to do."""

from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import ROUND_UP, Context, Decimal, localcontext
from enum import Enum, IntEnum, StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aaow_storage import (
    BudgetPool,
    LLMExecutionResult,
    Session,
    StoredWorkflow,
    TokenUsage,
    ToolCall,
    _ids,
    _values,
)
from aaow_storage.authoring import check_id, check_text, check_timeout, positive_amount
from aaow_storage.errors import ValidationError


class Node(StrEnum):
    FETCH = "fetch"


class Older(str, Enum):  # noqa: UP042 - another text when it is printed
    FETCH = "fetch"


class Price(IntEnum):
    LOW = 3


class Shifted(datetime):
    """What a library that has time stand still puts in the place of the class."""


class Raising(tzinfo):
    """A zone that knows of no offset."""

    def __init__(self, error: type[Exception]) -> None:
        self.error = error

    def utcoffset(self, instant: datetime | None) -> timedelta:
        raise self.error


class Undecided(tzinfo):
    """A zone whose instants are naive all the same."""

    def utcoffset(self, instant: datetime | None) -> None:
        return None


def a_workflow(**fields: Any) -> StoredWorkflow:
    return StoredWorkflow(**{"name": "n", "version": "1", "definition": {}, **fields})


@pytest.mark.parametrize("text", [Node.FETCH, Older.FETCH])
def test_a_member_of_an_enumeration_is_the_text_that_it_holds(text: Any):
    for value in (
        a_workflow(id=text).id,
        a_workflow(name=text).name,
        check_id("o", "a", text),
        check_text("o", "a", text),
    ):
        assert type(value) is str
        assert value == "fetch"


def test_instants_are_plain_datetimes_while_a_test_freezes_time(monkeypatch: pytest.MonkeyPatch):
    plain = (datetime,)
    for module in (_values, _ids):
        monkeypatch.setattr(module, "datetime", Shifted)
    workflow = a_workflow(updated_at=Shifted(2024, 5, 6, tzinfo=UTC))
    assert type(workflow.created_at) is plain[0]
    assert type(workflow.updated_at) is plain[0]
    assert a_workflow(updated_at=workflow.created_at).updated_at is workflow.created_at


@pytest.mark.parametrize("error", [NotImplementedError, TypeError, KeyError, OverflowError])
def test_an_instant_whose_zone_raises_is_refused(error: type[Exception]):
    with pytest.raises(ValidationError, match=rf"^StoredWorkflow\.created_at: its time zone raises {error.__name__}"):
        a_workflow(created_at=datetime(2024, 1, 1, tzinfo=Raising(error)))


def test_an_instant_whose_zone_has_no_offset_is_refused_as_naive():
    with pytest.raises(ValidationError, match="has no time zone"):
        a_workflow(created_at=datetime(2024, 1, 1, tzinfo=Undecided()))


@pytest.mark.parametrize(
    ("amount", "example"),
    [
        ("0.1234567890123456785", "Decimal('0.123456789012345678')"),
        (Decimal(1) / 3, "Decimal('0.333333333333333333')"),
        (Decimal("1.5E-18"), "Decimal('2E-18')"),
        ("999999999999999999.9999999999999999999", "Decimal('999999999999999999.999999999999999999')"),
    ],
)
def test_an_amount_with_too_many_places_comes_with_how_to_round_it(amount: Any, example: str):
    with pytest.raises(ValidationError, match=r"round it, as in round\(cost, 6\) or Decimal\.quantize") as caught:
        positive_amount("consume_budget", amount)
    assert caught.value.problem.endswith(f"for instance to {example}")
    positive_amount("consume_budget", Decimal(example[9:-2]))


@pytest.mark.parametrize(
    ("amount", "taken"),
    [
        (3 * 0.07, "0.21000000000000002"),
        (0.1 + 0.2, "0.30000000000000004"),
        (0.0012345678901234568, "0.001234567890123457"),
        (1.5e-18, "2E-18"),
        (2.5e-18, "2E-18"),
        (1e-19, "0"),
        (1e17, "100000000000000000"),
    ],
)
def test_a_float_is_taken_with_its_shortest_form_rounded_half_to_even_at_the_18th_place(amount: float, taken: str):
    assert repr(BudgetPool(total_budget=amount).total_budget) == f"Decimal('{taken}')"


@pytest.mark.parametrize("same", ["12.5", "12.50", "125E-1", "0012.500", Decimal("1.250E+1"), 12.5])
def test_equal_amounts_have_one_form(same: Any):
    assert repr(BudgetPool(total_budget=same).total_budget) == "Decimal('12.5')"


@given(st.decimals(0, 10**18 - 1, places=18, allow_nan=False), st.integers(1, 5))
def test_the_decimal_context_of_the_caller_changes_no_amount(amount: Decimal, digits: int):
    with localcontext(Context(prec=digits, rounding=ROUND_UP, Emin=-9, Emax=9)):
        pool = BudgetPool(total_budget=amount, used_budget=f"{amount}")
        assert pool.total_budget.compare(amount) == 0
        assert pool.remaining_budget == 0


@pytest.mark.parametrize(
    ("given", "plain"), [(Price.LOW, "3"), (Node.FETCH, None), (True, None), (date(2024, 1, 1), None)]
)
def test_an_amount_is_made_of_a_number_of_any_class_and_of_nothing_else(given: Any, plain: str | None):
    if plain is not None:
        assert BudgetPool(total_budget=given).total_budget == Decimal(plain)
        return
    with pytest.raises(ValidationError, match="must be an amount"):
        BudgetPool(total_budget=given)


def test_counts_and_booleans_refuse_subclasses():
    with pytest.raises(ValidationError, match="must be int, not Price"):
        TokenUsage(prompt_tokens=Price.LOW, completion_tokens=1, total_tokens=4)
    with pytest.raises(ValidationError, match="must be bool, not int"):
        LLMExecutionResult(success=1)


def test_a_timeout_is_a_plain_float():
    class Seconds(float):
        """A number of seconds, somewhere else."""

    assert [type(check_timeout("o", value)) for value in (Seconds(1.5), Price.LOW, 2)] == [float] * 3


def test_parts_of_a_record_are_of_plain_containers():
    class Calls(tuple[ToolCall, ...]):
        """The tool calls of a caller."""

        __slots__ = ()

    call = ToolCall(tool_call_id="c", tool_name="t", args={})
    result = LLMExecutionResult(tool_calls=Calls([call]))
    assert type(result.tool_calls) is tuple


def test_a_status_that_is_no_text_is_refused_by_name():
    for wrong in ([], {}, object(), Price.LOW):
        with pytest.raises(ValidationError, match=r"^Session\.status: "):
            Session(workflow_id=None, workflow_snapshot={}, status=wrong)
