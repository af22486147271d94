"""What a service manager sees of a gateway, by sockets that it has opened."""

import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from unittest import TestCase

from tests.live.client import LiveClient
from tests.live.gateway import PATIENCE_SECONDS, Gateway, until
from tests.live.web.listeners import dial_unix
from tests.ports import free_port


class NotifyTests(TestCase):
    def setUp(self) -> None:
        self.gateway = Gateway()
        self.addCleanup(self.gateway.remove)
        self.heard: Iterator[str] = iter(())
        path = str(self.gateway.folder / "notify")
        self.systemd = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.systemd.close)
        self.systemd.settimeout(PATIENCE_SECONDS)
        self.systemd.bind(path)
        self.gateway.environment = {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "200000"}

    def hear(self, line: str) -> None:
        """Wait for a line that begins so; beats of the watchdog come all the time."""
        end = time.monotonic() + PATIENCE_SECONDS
        while not any(heard.startswith(line) for heard in self.heard):
            self.assertLess(time.monotonic(), end, line)
            self.heard = iter(self.systemd.recv(4096).decode().split("\n"))

    def test_a_life(self) -> None:
        gateway = self.gateway
        gateway.start()
        self.hear("READY=1")
        self.hear(f"MAINPID={gateway.pid}")
        self.hear("STATUS=serving 0 connections")
        with LiveClient(gateway) as client:
            client.ping(client.make_key())
            self.hear("STATUS=serving 1 connections")
            self.hear("WATCHDOG=1")
            os.kill(gateway.pid, signal.SIGHUP)
            self.hear("RELOADING=1")
            self.hear("MONOTONIC_USEC=")
            self.hear("READY=1")
            gateway.terminate()
            self.hear("STOPPING=1")
            self.hear("EXTEND_TIMEOUT_USEC=35000000")
            self.assertTrue(client.ended())
        gateway.wait()


#: Opens sockets and becomes the command behind "--", as systemd starts a service.
ACTIVATE = """
import os, socket, sys
split = sys.argv.index("--")
opened = []
for address in sys.argv[1:split]:
    host, _, port = address.rpartition(":")
    is_tcp = port.isdecimal()
    opened.append(socket.socket(socket.AF_INET if is_tcp else socket.AF_UNIX))
    opened[-1].bind((host, int(port)) if is_tcp else address)
    opened[-1].listen()
for number, each in enumerate(opened):
    os.dup2(each.fileno(), 3 + number)
    os.set_inheritable(3 + number, True)
os.environ |= {"LISTEN_FDS": str(len(opened)), "LISTEN_PID": str(os.getpid())}
os.execv(sys.argv[split + 1], sys.argv[split + 1 :])
"""


class ActivationTests(TestCase):
    def setUp(self) -> None:
        self.gateway = Gateway()
        self.addCleanup(self.gateway.remove)

    def activate(self, *addresses: str) -> None:
        self.gateway.launcher = [sys.executable, "-c", ACTIVATE, *addresses, "--"]

    def listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.gateway.port)) == 0

    def test_clients_of_both_kinds(self) -> None:
        """They come before there is a gateway, and are served when it is there."""
        gateway = self.gateway
        path, spare = f"{gateway.folder}/gateway.sock", free_port()
        server = {"Addresses": [gateway.address, f"unix:{path}", f"127.0.0.1:{free_port()}"]}
        gateway.config["Gnetway"] = {"Server": [server]}
        gateway.write_config()
        self.activate(path, f"127.0.0.1:{spare}", gateway.address)
        gateway.launch()
        until(self.listens, "systemd listens")
        with LiveClient(gateway) as client, LiveClient(gateway, over=dial_unix(path)) as local:
            gateway.await_ready()
            client.ping(client.make_key())
            local.ping(local.make_key())
        told = f"no address of the configuration is theirs: 127.0.0.1:{spare} (descriptor 4"
        self.assertIn(told, gateway.log)
        gateway.stop()
        self.assertTrue(os.path.exists(path))
