"""What is known of repositories and tables without importing them is what they say themselves."""

import importlib
from collections.abc import Iterator

import pytest

from aaow_storage.authoring import DOCUMENT_FIELDS, QUERY_FIELDS, FieldKind
from aaow_storage_sql import Operation, _late_imports, metadata, table_of
from aaow_storage_sql._late_imports import REPOSITORIES, LateRepository
from aaow_storage_sql._mapping.record_rows import ENCODERS
from aaow_storage_sql._schema.types import JSONText

NAMES = [name for name, each in vars(_late_imports).items() if isinstance(each, LateRepository)]


def operations(name: str) -> Iterator[tuple[str, Operation]]:
    module = importlib.import_module(f"aaow_storage_sql._repositories.{name}")
    return ((name, each) for name, each in vars(module).items() if isinstance(each, Operation))


def test_every_repository_is_known():
    assert len(NAMES) == len(REPOSITORIES) == 9


@pytest.mark.parametrize("name", NAMES)
def test_an_operation_that_is_not_imported_yet_is_known_to_write_if_it_does(name: str):
    late = LateRepository(name, writing=getattr(_late_imports, name)._writing)
    assert {each: getattr(late, each).writes for each, _ in operations(name)} == {
        each: operation.writes for each, operation in operations(name)
    }
    assert late._writing <= {each for each, _ in operations(name)}


@pytest.mark.parametrize("name", NAMES)
def test_a_repository_has_its_own_operations_once_it_is_imported(name: str):
    late = LateRepository(name, writing=())
    late.load()
    assert {each: getattr(late, each) for each, _ in operations(name)} == dict(operations(name))


@pytest.mark.parametrize("name", ENCODERS)
def test_rows_have_json_in_the_columns_that_the_table_has_it_in(name: str):
    encoder = ENCODERS[name]
    columns = metadata.tables[name].columns
    in_json = [each for each in columns if isinstance(each.type, JSONText)]
    assert [(each.type.record, each.type.field) for each in in_json] == [
        (encoder.record, each) for each in encoder.documents
    ]
    assert set(encoder.names) <= set(columns.keys())


def test_the_states_of_nodes_have_their_fields_in_the_order_of_the_table():
    columns = metadata.tables["node_execution_states"].columns.keys()
    assert ("session_id", *ENCODERS["node_execution_states"].names) == tuple(columns)


def test_a_field_with_json_is_a_column_or_a_document():
    kinds = {(record, name): kind for record, fields in QUERY_FIELDS.items() for name, kind in fields.items()}
    in_json = {each for each, kind in kinds.items() if kind is FieldKind.JSON}
    in_no_column = {(record, name) for record, name in in_json if name not in table_of(record).columns}
    assert in_no_column == set(DOCUMENT_FIELDS.items())
