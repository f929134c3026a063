"""`OMITTED`, which stands for the document of a record that was listed without it."""

from typing import Any, Final, NoReturn

from aaow_storage.errors import ValidationError

REMEDY = "read the record by its id, or list with documents=True"


class _Omitted:
    """Equal to itself alone, also when copied or pickled; raises `ValidationError` if it is used as a document."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "OMITTED"

    def __reduce__(self) -> str:
        return "OMITTED"

    def _refuse(self, *_: object) -> NoReturn:
        raise ValidationError("QueryFilter", "documents", f"False left this document out of the list; {REMEDY}")

    __getitem__ = __iter__ = __len__ = __contains__ = __bool__ = __or__ = __ror__ = _refuse
    get = keys = values = items = copy = _refuse


OMITTED: Final[Any] = _Omitted()
"""The value of `workflow_snapshot` and `definition` in records that were listed with `QueryFilter(documents=False)`.

It is no document: reading a part of it, building a record with it, or storing it raises `ValidationError`. Records
that have it can be compared, copied and pickled. Test for it with `record.workflow_snapshot is OMITTED`.
"""
