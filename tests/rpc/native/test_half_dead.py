import socket

from twisted.trial.unittest import SynchronousTestCase

from gnetway.rpc.native.reading import watch


class _Transport:
    def __init__(self, handle: socket.socket) -> None:
        self.socket = handle


class WatchTests(SynchronousTestCase):
    def watched(self, silent: float, timeout: float) -> dict[str, int]:
        with socket.socket() as handle:
            watch(_Transport(handle), silent, timeout)
            found = {
                name: handle.getsockopt(socket.IPPROTO_TCP, getattr(socket, name))
                for name in ("TCP_USER_TIMEOUT", "TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT")
            }
            return found | {"on": handle.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)}

    def test_silence_and_data(self) -> None:
        wanted = {
            "TCP_USER_TIMEOUT": 20_000,
            "TCP_KEEPIDLE": 60,
            "TCP_KEEPINTVL": 6,
            "TCP_KEEPCNT": 3,
            "on": 1,
        }
        self.assertEqual(self.watched(60, 20), wanted)

    def test_data_alone(self) -> None:
        found = self.watched(0, 1.5)
        self.assertEqual((found["TCP_USER_TIMEOUT"], found["on"]), (1_500, 0))

    def test_no_socket(self) -> None:
        watch(object(), 60, 20)
