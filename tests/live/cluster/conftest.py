"""The gateways that tests of bad nodes share end with the last of them."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="package", autouse=True)
def clusters() -> Iterator[None]:
    """Let tests start clusters, and end those clusters behind them."""
    yield
    # Only now: this file is read before it is known which core is to be tested.
    from tests.live.cluster.faulty import remove_all  # noqa: PLC0415

    remove_all()
