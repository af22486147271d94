"""What a service manager sees of a gateway, by sockets that it has opened."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from unittest import TestCase

from tests.live.client import LiveClient
from tests.live.gateway import PATIENCE_SECONDS, Gateway


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
