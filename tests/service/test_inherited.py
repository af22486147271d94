"""Sockets that somebody else has opened, taken by their address."""

import os
import socket

from twisted.logger import capturedLogs

from gnetway.config.addresses import Address, UnixAddress
from gnetway.config.model import GatewayConfig
from gnetway.runtime.systemd import Passed
from gnetway.service.listeners import Listener, bind_all, close_all
from gnetway.service.sockets import InheritedSockets
from tests.service.cases import ServiceCase


class InheritedTests(ServiceCase):
    def open_tcp(self, host: str = "127.0.0.1", listens: bool = True) -> tuple[int, int]:
        """Return a descriptor of a socket, and its port."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        opened = socket.socket(family)
        opened.bind((host, 0))
        port: int = opened.getsockname()[1]
        if listens:
            opened.listen()
        return opened.detach(), port

    def open_unix(self, path: str) -> int:
        opened = socket.socket(socket.AF_UNIX)
        opened.bind(path)
        opened.listen()
        return opened.detach()

    def listening(self, *addresses: str) -> GatewayConfig:
        servers = [{"Addresses": list(addresses)}]
        return self.config({"Embedded": {"Store": "memory"}}, Gnetway={"Server": servers})

    def bind(self, inherited: InheritedSockets, *addresses: str) -> list[Listener]:
        listeners = bind_all(self.listening(*addresses), inherited)
        self.addCleanup(close_all, listeners)
        return listeners

    def test_by_address(self) -> None:
        """Those without a socket are bound as ever."""
        path = f"{self.directory}/gateway.sock"
        (v4, port4), (v6, port6) = self.open_tcp(), self.open_tcp("::1")
        unix = self.open_unix(path)
        inherited = InheritedSockets([Passed(each, "") for each in (unix, v6, v4)])
        addresses = f"127.0.0.1:{port4}", "127.0.0.1:0", f"[::1]:{port6}", f"unix:{path}"
        listeners = self.bind(inherited, *addresses)
        found = [listener.bound.fileno() for listener in listeners]
        self.assertEqual([found[0], *found[2:]], [v4, v6, unix])
        self.assertEqual(listeners[0].port, port4)
        self.assertFalse(listeners[0].bound.getblocking())
        with capturedLogs() as captured:
            inherited.tell_left_over()
        self.assertEqual(captured, [])

    def test_systemds_file_stays(self) -> None:
        path = f"{self.directory}/gateway.sock"
        inherited = InheritedSockets([Passed(self.open_unix(path), "")])
        close_all(self.bind(inherited, f"unix:{path}"))
        self.assertTrue(os.path.exists(path))

    def test_a_link_to_a_folder_and_a_name_of_a_host(self) -> None:
        os.symlink(self.directory, f"{self.directory}/link")
        unix, (v4, port) = self.open_unix(f"{self.directory}/gateway.sock"), self.open_tcp()
        inherited = InheritedSockets([Passed(unix, ""), Passed(v4, "")])
        for address in (
            UnixAddress(f"{self.directory}/link/gateway.sock"),
            Address("localhost", port),
        ):
            (taken,) = inherited.take(address)
            taken.bound.close()
            self.assertEqual(inherited.take(address), [])

    def test_left_over(self) -> None:
        reading, writing = os.pipe()
        self.addCleanup(os.close, writing)
        self.addCleanup(os.close, reading)
        (other, port), (silent, _) = self.open_tcp(), self.open_tcp(listens=False)
        datagrams = socket.socket(type=socket.SOCK_DGRAM).detach()
        inherited = InheritedSockets(
            [
                Passed(other, "metrics"),
                Passed(silent, ""),
                Passed(datagrams, ""),
                Passed(reading, "pipe"),
            ]
        )
        self.bind(inherited, "127.0.0.1:0")
        with capturedLogs() as captured:
            inherited.tell_left_over()
        (event,) = captured
        self.assertEqual(
            event["sockets"],
            f"127.0.0.1:{port} (descriptor {other} metrics of systemd),"
            f" no listening stream socket (descriptor {silent} of systemd),"
            f" no listening stream socket (descriptor {datagrams} of systemd),"
            f" no socket (descriptor {reading} pipe of systemd)",
        )
        for left in inherited._left:
            left.bound.close()
