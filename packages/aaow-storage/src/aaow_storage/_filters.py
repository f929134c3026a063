"""`QueryFilter`: which records a list has, in which order, and which page of it."""

from collections.abc import Iterable, Mapping
from typing import Any

import attrs
from attrs import field, frozen

from aaow_storage._attrs_values import Value
from aaow_storage._operators import FieldName, OrderBy, field_name, is_field_name
from aaow_storage._validators import Named, invalid, is_bool
from aaow_storage._values import shown
from aaow_storage.errors import ValidationError


def _order(value: "OrderBy | Iterable[OrderBy]") -> tuple[OrderBy, ...]:
    if isinstance(value, OrderBy):
        return (value,)
    return tuple(value) if isinstance(value, list) else value  # type: ignore[return-value]  # refused next


def _is_order(instance: object, attribute: Named, value: Any) -> None:
    if not isinstance(value, tuple) or not all(isinstance(key, OrderBy) for key in value):
        problem = f"must be OrderBy, such as OrderBy('created_at'), or a list or tuple of them, not {shown(value)}"
        raise invalid(instance, attribute, problem)


def _where(value: Mapping[FieldName, Any]) -> Mapping[FieldName, Any]:
    if not isinstance(value, Mapping):
        return value
    copy = dict(value)
    return copy if set(map(type, copy)) <= {str} else {field_name(name): part for name, part in copy.items()}


def _is_where(instance: object, attribute: Named, value: Any) -> None:
    if not isinstance(value, dict):
        problem = f"must map fields to values, as in {{'status': 'running'}}, not be {type(value).__name__}"
        raise invalid(instance, attribute, problem)
    for name in value:
        is_field_name(instance, attribute, name)


def _alternatives(value: "Iterable[Mapping[FieldName, Any]] | None") -> "tuple[Mapping[FieldName, Any], ...] | None":
    return tuple(map(_where, value)) if isinstance(value, list | tuple) else value  # type: ignore[return-value]  # refused next


def _are_alternatives(instance: object, attribute: Named, value: Any) -> None:
    if value is None:
        return
    if not isinstance(value, tuple):
        problem = f"must be a list or tuple of mappings such as where, not {type(value).__name__}"
        raise invalid(instance, attribute, problem)
    for part in value:
        _is_where(instance, attribute, part)


MAX_PAGE = 2**63 - 1


def _is_page_number(instance: object, attribute: Named, value: Any) -> None:
    if type(value) is not int:
        raise invalid(instance, attribute, f"must be int, not {type(value).__name__}")
    if not 0 <= value <= MAX_PAGE:
        raise invalid(instance, attribute, f"must be from 0 to 2**63-1, not {shown(value)}")


def _is_limit(instance: object, attribute: Named, value: Any) -> None:
    if value is not None:
        _is_page_number(instance, attribute, value)


@frozen(eq=False, repr=False)
class QueryFilter(Value):
    """Which records a list has, in which order, and which page of it.

    `where` maps a field to a value (None means "is null") or an operator; a record matches if all entries hold. With
    `any_of`, a list of such mappings, at least one of them has to hold as well; if the list is empty, no record
    matches.
    `order_by` defaults to the order of the list, which is time, then id; ties are always broken by id, ascending.
    `limit` and `offset` select a page of the filtered, ordered list; with a `limit` of 0 it is empty.

    With `documents=False`, a list of sessions or workflows has `OMITTED` in place of each snapshot or definition, and
    reads none of them from the store, so their size does not matter; `where` and `order_by` may still use paths into
    them. Other records are not affected.

    The operation that gets the filter checks the names of fields and the types of values, because they depend on the
    record.
    """

    where: Mapping[FieldName, Any] = field(factory=dict, converter=_where, validator=_is_where)
    order_by: tuple[OrderBy, ...] = field(default=(), converter=_order, validator=_is_order)
    limit: int | None = field(default=None, validator=_is_limit)
    offset: int = field(default=0, validator=_is_page_number)
    documents: bool = field(default=True, kw_only=True, validator=is_bool)
    after_record: Any = field(default=None, kw_only=True)
    any_of: tuple[Mapping[FieldName, Any], ...] | None = field(
        default=None, kw_only=True, converter=_alternatives, validator=_are_alternatives
    )

    def after(self, record: object) -> "QueryFilter":
        """Return this filter for the page after that record, or its cursor, in the same order (keyset paging).

        Paging with `filter = filter.after(page[-1])` visits every record that is stored from the first page to the
        last exactly once, whatever is inserted or deleted meanwhile. Later pages cost no more than the first. `offset`
        becomes 0, because the record says where the page begins. The operation that gets the filter refuses a text
        that is no cursor of its records, or is one for other fields of order.

        Raises:
            ValidationError: the record is None.
        """
        if record is None:
            problem = "must be the last record of the page before, not None; after an empty page there is no other"
            raise ValidationError("QueryFilter", "after", problem)
        return attrs.evolve(self, after_record=record, offset=0)

    def cursor(self, record: object) -> str:
        """Return the place of a record in the order of this filter as a text, for `after` in another process.

        The text goes into a URL as it is, and is as long as the values of the order, which it holds. It is not secret,
        and no protection: who can read it can make another, which selects another page of the same list.

        Raises:
            ValidationError: the record is not one that can be listed, `order_by` names a field that it does not have,
                or the cursor has more than 4,000,000 characters.
        """
        from aaow_storage._cursors import cursor_of  # noqa: PLC0415 - most programs need none, nor what it imports

        return cursor_of(record, self.order_by)
