"""The gateways that all of these tests share end with the last of them."""

from collections.abc import Iterator

import pytest

from tests.live.apps.gateways import remove_all


@pytest.fixture(scope="session", autouse=True)
def gateways() -> Iterator[None]:
    """Let tests start gateways, and end those gateways behind them."""
    yield
    remove_all()
