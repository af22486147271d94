"""Addresses under the sessions' name where no session service is, beside sound nodes."""

from collections.abc import Mapping
from typing import ClassVar, Final

from grpc import StatusCode

from gnetway.config.session import Carrier
from gnetway.testing import QuickAck
from gnetway.tl.service_messages import Ping, Pong
from tests.live.client import LiveClient, now
from tests.live.cluster.faulty import SILENCE_SECONDS, FaultyCase

#: What they answer to everything. One is no session service at all, the others let nobody in.
STATUSES: Final = (
    StatusCode.UNIMPLEMENTED,
    StatusCode.PERMISSION_DENIED,
    StatusCode.UNAUTHENTICATED,
)

#: More clients than it takes until keys of each address have come by, and clients after that.
MOST_CLIENTS: Final = 300
CLIENTS_AFTER: Final = 40

PINGS: Final = 3


class UnaryTests(FaultyCase):
    more: ClassVar[Mapping[str, object]] = {"wrong": STATUSES}

    def test_their_keys_go_to_the_next_node(self) -> None:
        """Every client is answered, and the log has one line for each wrong address."""
        addresses = [server.address for server in self.cluster.wrong]
        for _ in range(MOST_CLIENTS):
            self._assert_answered()
            if all(map(self._lines, addresses)):
                break
        for _ in range(CLIENTS_AFTER):
            self._assert_answered()
        self.assertEqual([len(self._lines(address)) for address in addresses], [1, 1, 1])
        self.assertEqual(self.causes(), {})
        self.assert_nodes_sound()

    def _lines(self, address: str) -> list[str]:
        # From the start on: it may have been found out before any client came.
        return self.lines_about(address, self.gateway.log)

    def _assert_answered(self) -> None:
        """Talk as a client of a new key: its quick acks and pongs all come."""
        session = self.new_session()
        with LiveClient(self.gateway) as client:
            client.socket.settimeout(SILENCE_SECONDS)
            for number in range(PINGS):
                client.send(session.encrypt(Ping(number).pack(), now()), quick_ack=True)
                first, second = client.receive(), client.receive()
                self.assertEqual(first, QuickAck(session.quick_ack_token))
                assert isinstance(second, bytes) and len(second) >= 8, second
                self.assertEqual(Pong.parse(session.decrypt(second).body).ping_id, number)


class StreamTests(UnaryTests):
    by_stream = True


class GrpcioUnaryTests(UnaryTests):
    carrier = Carrier.GRPCIO


class GrpcioStreamTests(StreamTests):
    carrier = Carrier.GRPCIO
