"""An address that opens all it can, and others that want to get in."""

import re
import resource
import socket
import time
from collections.abc import Mapping
from unittest import TestCase

from tests.live.gateway import Gateway, until
from tests.live.hostile.addresses import ATTACKER, VICTIM, client_at, is_closed
from tests.live.web.listeners import dial
from tests.ports import free_port

#: Seconds that a refused connection is kept before it is closed, with room for a busy machine.
REFUSED_WITHIN_SECONDS = 20.0


class ConnectionCase(TestCase):
    """A gateway with ``Gnetway.Admission`` and a limit of open files."""

    def serve(
        self, admission: Mapping[str, object] | None = None, max_files: int | None = None
    ) -> Gateway:
        gateway = Gateway(limits={"HandshakeSeconds": 120})
        self.addCleanup(gateway.remove)
        gnetway = gateway.config["Gnetway"]
        assert isinstance(gnetway, dict)
        gnetway["Admission"] = dict(admission or {})
        gateway.write_config()
        gateway.max_files = max_files
        gateway.start()
        return gateway

    def open(self, gateway: Gateway, source: str) -> socket.socket:
        connected = dial(gateway.port, source)
        self.addCleanup(connected.close)
        return connected

    def causes(self, gateway: Gateway) -> dict[str, int]:
        """Stop the gateway, and return what it has counted."""
        gateway.stop()
        counted = re.search(r"connections ended, by cause: \{(.*)\}", gateway.log)
        assert counted is not None, gateway.log
        return {name: int(count) for name, count in re.findall(r"'(\w+)': (\d+)", counted.group(1))}


class AllItCanTests(ConnectionCase):
    """`ulimit -n 512`, and more sockets of one address than that."""

    def assert_others_get_in(self, gateway: Gateway) -> None:
        for _ in range(600):
            self.open(gateway, ATTACKER)
        for _ in range(20):
            for _ in range(10):
                self.open(gateway, ATTACKER)
            with client_at(gateway, VICTIM) as victim:
                session = victim.make_key()
                victim.ping(session)

    def test_with_the_defaults(self) -> None:
        gateway = self.serve(max_files=512)
        self.assert_others_get_in(gateway)
        causes = self.causes(gateway)
        self.assertGreater(causes["too_many_half_open"], 400)
        self.assert_quiet(gateway)

    def test_without_a_bound_of_its_own(self) -> None:
        """Where it may take all there is, it gives way to those that have less."""
        admission = {"ConnectionsPerAddress": 5000, "HalfOpenPerAddress": 5000, "HalfOpen": 5000}
        gateway = self.serve(admission, max_files=512)
        self.assert_others_get_in(gateway)
        causes = self.causes(gateway)
        self.assertGreater(causes["gave_way"], 15)
        self.assertGreater(causes["too_many_connections"], 200)
        self.assert_quiet(gateway)

    def assert_quiet(self, gateway: Gateway) -> None:
        lines = gateway.log.splitlines()
        told = [line for line in lines if "connections refused" in line]
        self.assertIn(len(told), (1, 2, 3))
        self.assertNotIn("EMFILE", gateway.log)
        self.assertNotIn("Traceback", gateway.log)
        self.assertLess(len(lines), 60)


class OneAddressTests(ConnectionCase):
    """Bounds of one address."""

    def test_a_connection_above_the_rate_waits_for_its_turn(self) -> None:
        gateway = self.serve({"NewConnectionsPerSecond": 2, "NewConnectionsBurst": 2})
        with client_at(gateway, ATTACKER) as first:
            session = first.make_key()
        began = time.monotonic()
        for _ in range(5):
            self.open(gateway, ATTACKER)
        with client_at(gateway, ATTACKER) as last:
            last.ping(session)
        # One token was left, and the last of six needs the fifth after it.
        self.assertGreater(time.monotonic() - began, 1.5)
        with client_at(gateway, VICTIM) as victim:
            victim.ping(victim.make_key())

    def test_one_that_would_wait_too_long_is_closed_but_not_at_once(self) -> None:
        admission = {"NewConnectionsPerSecond": 1, "NewConnectionsBurst": 1, "WaitSeconds": 0}
        gateway = self.serve(admission)
        self.open(gateway, ATTACKER)
        began = time.monotonic()
        refused = self.open(gateway, ATTACKER)
        self.assertTrue(is_closed(refused, REFUSED_WITHIN_SECONDS))
        self.assertGreater(time.monotonic() - began, 4.0)
        self.assertEqual(self.causes(gateway)["too_many_new_connections"], 1)

    def test_more_than_it_may_have(self) -> None:
        gateway = self.serve({"ConnectionsPerAddress": 4, "HalfOpenPerAddress": 2})
        with client_at(gateway, ATTACKER) as attacker:
            attacker.ping(attacker.make_key())
            half_open = [self.open(gateway, ATTACKER) for _ in range(4)]
            for refused in half_open[2:]:
                self.assertTrue(is_closed(refused, REFUSED_WITHIN_SECONDS))
            with client_at(gateway, VICTIM) as victim:
                victim.ping(victim.make_key())
            self.assertFalse(any(is_closed(kept, 0.1) for kept in half_open[:2]))
        self.assertEqual(self.causes(gateway)["too_many_half_open"], 2)

    def test_denied(self) -> None:
        gateway = self.serve({"Deny": [ATTACKER]})
        self.assertTrue(is_closed(self.open(gateway, ATTACKER), REFUSED_WITHIN_SECONDS))
        with client_at(gateway, VICTIM) as victim:
            victim.ping(victim.make_key())
        self.assertEqual(self.causes(gateway)["address_denied"], 1)

    def test_exempt(self) -> None:
        own = {"Networks": [VICTIM], "Exempt": True}
        gateway = self.serve({"ConnectionsPerAddress": 1, "Networks": [own]})
        opened = [self.open(gateway, VICTIM) for _ in range(5)]
        with client_at(gateway, VICTIM) as victim:
            victim.ping(victim.make_key())
        self.assertFalse(any(is_closed(one, 0.1) for one in opened))


class BalancerTests(ConnectionCase):
    """Clients behind a balancer: each has its own bounds, the balancer has none."""

    def serve_behind_balancer(self, proto: str) -> Gateway:
        gateway = Gateway(limits={"HandshakeSeconds": 120})
        self.addCleanup(gateway.remove)
        proxy = {"TrustedNetworks": [VICTIM], "TimeoutSeconds": 120}
        server = {"Proto": proto, "Addresses": [gateway.address], "ProxyProtocol": proxy}
        admission = {"ConnectionsPerAddress": 2, "HalfOpenPerAddress": 100}
        # Another one for the line at start that says how to try it, which needs one without PROXY.
        plain = {"Addresses": [f"127.0.0.1:{free_port()}"]}
        gateway.config["Gnetway"] = {"Server": [server, plain], "Admission": admission}
        gateway.write_config()
        gateway.start()
        return gateway

    def behind(self, gateway: Gateway, client_ip: str) -> socket.socket:
        opened = self.open(gateway, VICTIM)
        opened.sendall(f"PROXY TCP4 {client_ip} 192.0.2.99 50000 443\r\n".encode())
        opened.sendall(b"\xee\xee\xee\xee")
        return opened

    def assert_counted_by_client(self, proto: str) -> None:
        gateway = self.serve_behind_balancer(proto)
        waiting = [self.open(gateway, VICTIM) for _ in range(5)]
        kept = [self.behind(gateway, "192.0.2.1") for _ in range(2)]
        refused = self.behind(gateway, "192.0.2.1")
        self.assertTrue(is_closed(refused, REFUSED_WITHIN_SECONDS))
        kept += [self.behind(gateway, "192.0.2.2") for _ in range(2)]
        self.assertFalse(any(is_closed(one, 0.1) for one in kept + waiting))
        self.assertEqual(self.causes(gateway)["too_many_connections"], 1)

    def test_on_a_port_of_its_own(self) -> None:
        self.assert_counted_by_client("tcp")

    def test_on_a_port_for_everything(self) -> None:
        self.assert_counted_by_client("auto")

    def test_a_balancer_that_sends_no_header(self) -> None:
        """On a port for everything it is a client like others."""
        gateway = self.serve_behind_balancer("auto")
        for _ in range(2):
            self.open(gateway, VICTIM).sendall(b"\xee\xee\xee\xee")
        refused = self.open(gateway, VICTIM)
        refused.sendall(b"\xee\xee\xee\xee")
        self.assertTrue(is_closed(refused, REFUSED_WITHIN_SECONDS))


class NoDescriptorTests(ConnectionCase):
    """The system has none left, whoever has them."""

    def test_accepting_goes_on_by_itself(self) -> None:
        gateway = self.serve()
        with client_at(gateway, VICTIM) as victim:
            session = victim.make_key()
            before = resource.prlimit(gateway.pid, resource.RLIMIT_NOFILE)
            resource.prlimit(gateway.pid, resource.RLIMIT_NOFILE, (3, before[1]))
            with client_at(gateway, VICTIM) as waiting:
                waiting.send(b"")
                waiting.socket.settimeout(4.0)
                self.assertFalse(waiting.ended())
                # Who is in is served.
                victim.ping(session)
                resource.prlimit(gateway.pid, resource.RLIMIT_NOFILE, before)
            with client_at(gateway, VICTIM) as another:
                another.ping(session)
        until(lambda: "no_descriptor" in gateway.log, "a line")
        lines = [line for line in gateway.log.splitlines() if "no_descriptor" in line]
        self.assertEqual(len(lines), 1)
        self.assertNotIn("EMFILE", gateway.log)
        self.assertGreater(self.causes(gateway)["no_descriptor"], 1)
