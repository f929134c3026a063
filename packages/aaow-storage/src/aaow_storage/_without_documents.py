"""Which records hold a document, and how a list leaves it out."""

import copy
from typing import TypeVar

from aaow_storage._omitted import OMITTED
from aaow_storage._records import Session, StoredWorkflow

RecordT = TypeVar("RecordT")

DOCUMENT_FIELDS: dict[type, str] = {StoredWorkflow: "definition", Session: "workflow_snapshot"}
"""The field of a record that holds its document; other records have none."""


def without_documents(record: RecordT) -> RecordT:
    """Return a copy of a record that holds `OMITTED` in place of its document; one without documents as it is."""
    name = DOCUMENT_FIELDS.get(type(record))
    if name is None:
        return record
    copied = copy.copy(record)
    object.__setattr__(copied, name, OMITTED)
    return copied
