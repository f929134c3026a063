"""Which tests begin first."""

import pytest


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests that take longest, such as `@pytest.mark.slow(seconds=60)`: no worker then ends with one."""

    def seconds(item: pytest.Item) -> float:
        mark = item.get_closest_marker("slow")
        return mark.kwargs.get("seconds", 0.0) if mark is not None else 0.0

    items.sort(key=seconds, reverse=True)
