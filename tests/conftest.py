"""Which tests share what takes long to make, so that two processes do not both make it."""

import pytest


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests that look at one run of the chapter, or use the same weights, in one process."""
    for item in items:
        for fixture in ("chapter", "further_weights"):
            if fixture in item.fixturenames and item.path.name == "test_lessons.py":
                item.add_marker(pytest.mark.xdist_group(fixture))
