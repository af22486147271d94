"""The gateways that all of these tests share end with the last of them."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def gateways() -> Iterator[None]:
    """Let tests start gateways, and end those gateways behind them."""
    yield
    # Only now: this file is read before it is known which core is to be tested.
    from tests.live.apps.gateways import remove_all  # noqa: PLC0415

    remove_all()
