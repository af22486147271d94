"""A node whose machine has vanished: it swallows whoever connects. No client waits for it."""

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar, Final

from gnetway.config.session import Carrier
from tests.live.client import LiveClient
from tests.live.cluster.faulty import FaultyCase

#: Clients at once, and then one after the other.
AT_ONCE: Final = 20
LATER: Final = 20
PAUSE_SECONDS: Final = 0.06

#: Half of what a connection, and a call, may take by default: who waits for either takes longer.
MOST_SECONDS: Final = 2.0


class UnaryTests(FaultyCase):
    more: ClassVar[Mapping[str, object]] = {"dead": 1}

    def test_no_client_waits_for_it(self) -> None:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            took = list(pool.map(lambda _: self._first_pong_seconds(), range(AT_ONCE)))
        for _ in range(LATER):
            time.sleep(PAUSE_SECONDS)
            took.append(self._first_pong_seconds())
        waited = {number: seconds for number, seconds in enumerate(took) if seconds > MOST_SECONDS}
        self.assertEqual(waited, {})
        self.assertEqual(self.causes(), {})
        self.assert_nodes_sound()

    def _first_pong_seconds(self) -> float:
        """Connect with a new key, and return how long it took to the first answer."""
        session = self.new_session()
        begun = time.monotonic()
        with LiveClient(self.gateway) as client:
            client.ping(session)
        return time.monotonic() - begun


class StreamTests(UnaryTests):
    by_stream = True


class GrpcioUnaryTests(UnaryTests):
    carrier = Carrier.GRPCIO


class GrpcioStreamTests(StreamTests):
    carrier = Carrier.GRPCIO
