"""A pytest plugin that runs each test of the conformance suite once, with the first of its parameters.

Those of `ABOUT_VALUES` run with all: what they find differs from value to value, and from kind to kind of record. It is
for a run beside others in which the whole suite passes: a role with other settings, a backend that is an example.
"""

import pytest

ABOUT_VALUES = {"TestDifferential", "TestEndings", "TestNumbers", "TestQueries", "TestRecords", "TestSchemas"}


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect tests that differ from one before in their parameters alone, unless they are about values."""
    chosen, others, seen = [], [], set()
    for item in items:
        name, _, parameters = item.nodeid.partition("[")
        is_first = name not in seen or not parameters
        seen.add(name)
        (chosen if is_first or ABOUT_VALUES & set(name.split("::")) else others).append(item)
    config.hook.pytest_deselected(items=others)
    items[:] = chosen
