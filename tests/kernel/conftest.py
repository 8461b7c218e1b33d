"""Fixtures of the tests that start kernels."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from stock_client import Stock


@pytest.fixture(scope="module")
def subshell(stock: Stock) -> Iterator[str]:
    """A subshell of the module's kernel."""
    made = stock.send("create_subshell_request", channel="control")
    subshell_id = stock.reply(made, channel="control")["content"]["subshell_id"]
    yield subshell_id
    gone = stock.send("delete_subshell_request", {"subshell_id": subshell_id}, channel="control")
    stock.reply(gone, channel="control")
