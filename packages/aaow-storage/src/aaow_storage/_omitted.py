"""What stands in a record for the document that its list was told to leave out."""

from typing import Any, Final, NoReturn

from aaow_storage.errors import ValidationError

REMEDY = "read the record by its id, or list with documents=True"


class _Omitted:
    """Equal to itself alone, also when copied or pickled; raises `ValidationError` where it is used as a document."""

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
"""What `workflow_snapshot` and `definition` hold in a list of `QueryFilter(documents=False)`.

It is no document: to look into it, to build a record with it, or to store it raises `ValidationError`. Two records that
hold it may be compared, copied and pickled; `record.workflow_snapshot is OMITTED` tells.
"""
