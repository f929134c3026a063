"""A value in the text of a statement is the value that the server reads, whatever it is."""

from collections.abc import Callable
from contextlib import closing
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aaow_storage_mariadb._connect import connect
from aaow_storage_mariadb._hosts import Hosts
from aaow_storage_mariadb._literals import literal, with_values
from aaow_storage_mariadb._location import location_of
from aaow_storage_mariadb._settings import Settings

VALUES = st.one_of(
    st.none(),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.text("\\'\"`%\0\n\r\x1a;-/*#"),
    st.integers(-(2**63), 2**63 - 1),
    st.booleans(),
    st.binary(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.decimals(-(10**18), 10**18, places=18),
)


@pytest.fixture
def read(url: str, driver: str) -> Callable[..., tuple]:
    """Return a function that lets the server read values, in the session of an adapter."""
    settings = Settings(location=location_of(url), driver=driver)
    with closing(connect(settings, Hosts(settings.location.hosts))) as connection:
        yield lambda *values: connection.execute(f"SELECT {', '.join(['%s'] * len(values))}", values).fetchone()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
@given(st.lists(VALUES, min_size=1, max_size=5))
def test_the_server_reads_the_value_that_was_meant(read: Callable[..., tuple], values: list):
    for meant, found in zip(values, read(*values), strict=True):
        assert found == meant
        assert (type(found) is type(meant)) or isinstance(meant, bool)


def test_what_a_text_says_is_never_a_part_of_the_statement():
    assert with_values("SELECT %s, '100%%'", ["it's; DROP TABLE \\"]) == "SELECT 'it\\'s; DROP TABLE \\\\', '100%'"


@pytest.mark.parametrize("value", [object(), float("nan"), float("inf"), Decimal("NaN"), ["a"], {"a": 1}])
def test_what_no_column_has_is_refused(value: object):
    with pytest.raises(TypeError, match="no column"):
        literal(value)
