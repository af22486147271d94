import os
import socket
import stat

from gnetway.config.model import GatewayConfig
from gnetway.errors import ConfigError
from gnetway.service.listeners import bind_all, close_all
from tests.ports import free_port
from tests.service.cases import ServiceCase


class BindTests(ServiceCase):
    def listening(self, *addresses: str, **keys: object) -> GatewayConfig:
        server = {"Addresses": list(addresses), **keys}
        return self.config({"Embedded": {"Store": "memory"}}, Gnetway={"Server": [server]})

    def test_every_kind_of_address(self) -> None:
        path = f"{self.directory}/gateway.sock"
        config = self.listening("127.0.0.1:0", "[::1]:0", f"unix:{path}", UnixMode="0600")
        listeners = bind_all(config)
        self.addCleanup(close_all, listeners)
        v4, v6, unix = listeners
        self.assertEqual(str(v4), f"127.0.0.1:{v4.port}")
        self.assertEqual(str(v6), f"[::1]:{v6.port}")
        self.assertEqual((str(unix), unix.host, unix.port), (f"unix:{path}", "", 0))
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        for listener, family in zip(
            listeners, (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX), strict=True
        ):
            self.assertEqual(listener.bound.family, family)

    def test_both_families_of_one_port(self) -> None:
        """[::] would take that of IPv4 along."""
        port = free_port()
        close_all(bind_all(self.listening(f"0.0.0.0:{port}", f"[::]:{port}")))

    def test_a_file_goes_with_its_socket(self) -> None:
        path = f"{self.directory}/gateway.sock"
        close_all(bind_all(self.listening(f"unix:{path}")))
        self.assertFalse(os.path.exists(path))

    def test_every_fault(self) -> None:
        taken = self.taken_port()
        path = f"{self.directory}/gateway.sock"
        config = self.listening(
            f"unix:{path}", f"127.0.0.1:{taken}", f"unix:{self.directory}/none/gateway.sock"
        )
        error = self.assertRaises(ConfigError, bind_all, config)
        self.assertEqual(
            error.faults,
            [
                self.fault(1, f"127.0.0.1:{taken}", "Address already in use"),
                self.fault(
                    2, f"unix:{self.directory}/none/gateway.sock", "No such file or directory"
                ),
            ],
        )
        # What was bound before is given back.
        self.assertFalse(os.path.exists(path))

    def fault(self, index: int, address: str, why: str) -> str:
        return (
            f"app: Gnetway.Server[0].Addresses[{index}]: found {address}, which cannot be bound:"
            f" {why}; allowed: an address that is free"
        )

    def test_accepted_sockets_have_its_times(self) -> None:
        """The kernel copies them, so that no connection costs a call."""
        config = self.listening("127.0.0.1:0", f"unix:{self.directory}/gateway.sock")
        tcp, unix = bind_all(config)
        self.addCleanup(close_all, [tcp, unix])
        with socket.create_connection((tcp.host, tcp.port)):
            accepted, _ = tcp.bound.accept()
        with accepted:
            self.assertEqual(accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE), 1)
            for name, value in (
                ("TCP_KEEPIDLE", 120),
                ("TCP_KEEPINTVL", 15),
                ("TCP_KEEPCNT", 4),
                ("TCP_USER_TIMEOUT", 120_000),
            ):
                option = getattr(socket, name)
                self.assertEqual(accepted.getsockopt(socket.IPPROTO_TCP, option), value, name)
