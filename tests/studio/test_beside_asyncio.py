"""Tests in a browser and tests with an event loop of their own run in one process, in any order."""

import asyncio
from typing import Any

import pytest
from studio_serving import Studio


def test_a_page_is_opened(studio: Studio, page: Any):
    page.goto(f"{studio.url}/sessions")


@pytest.mark.asyncio
async def test_a_coroutine_runs_after_it():
    await asyncio.sleep(0)


def test_another_page_is_opened_after_that(studio: Studio, page: Any):
    asyncio.new_event_loop().close()
    page.goto(f"{studio.url}/sessions")
