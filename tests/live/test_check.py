"""``gnetway check`` against real things: a gateway that runs, etcd, session nodes.

Set-ups that are broken on this machine alone are in tests/cli.
"""

import json
import os
import signal
import sys
from typing import NamedTuple
from unittest import TestCase

from gnetway.testing.dial import OVER_TCP
from tests.live.cluster.cluster import SESSIONS, ClusterGateway
from tests.live.cluster.session_service import SessionNode, SessionService
from tests.live.etcd_server import EtcdServer
from tests.live.gateway import Gateway, run, until
from tests.live.web.listeners import TLS, ListenerGateway
from tests.ports import free_port


class Found(NamedTuple):
    level: str
    step: str
    text: str
    remedy: str


def check(gateway: Gateway, status: int, *more: str) -> list[Found]:
    """Check a gateway's configuration, and return what is found."""
    command = [sys.executable, "-m", "gnetway", "check", "-c", str(gateway.config_file)]
    done = run(*command, "--json", *more)
    assert done.returncode == status, (done.stdout, done.stderr)
    assert done.stderr == "", done.stderr
    told = json.loads(done.stdout)
    assert told["ok"] is (status == 0), told
    return [Found(**found) for found in told["findings"]]


def trials(found: list[Found]) -> list[Found]:
    return [one for one in found if one.step == "trial"]


class ListenersTests(TestCase):
    def setUp(self) -> None:
        self.proxied = free_port()
        self.gateway = ListenerGateway(
            {
                "auto": {"Proto": "auto", "TLS": TLS, "PPV1": True},
                "tls": {"Proto": "websocket", "TLS": TLS},
                "http": {"Proto": "http"},
                "proxy": {
                    "ProxyProtocol": {"TrustedNetworks": ["10.0.0.0/8"], "Versions": [2]},
                    "Addresses": ["unix:./a.sock", f"127.0.0.1:{self.proxied}"],
                },
            }
        )
        self.addCleanup(self.gateway.remove)

    def test_beside_the_gateway_and_against_it(self) -> None:
        gateway = self.gateway
        gateway.start()
        before = sorted(path.name for path in gateway.folder.iterdir())
        found = check(gateway, 0)
        ports = [one for one in found if one.step == "port"]
        self.assertEqual(len(ports), 6)
        for port in ports:
            self.assertEqual(port.level, "note")
            self.assertIn(f" is the gateway's that runs (twistd, process {gateway.pid})", port.text)
        tried = [one.text.partition("; key ")[0] for one in trials(found)]
        tcp = ", ".join(OVER_TCP)
        headed = f"{tcp} after PROXY v2"
        usual = "obf-intermediate"
        auto = f"{tcp}, ws, http; {usual}, ws, http in TLS; {usual} after PROXY v1; {usual} after"
        for text, ways in zip(
            tried, (tcp, f"{auto} PROXY v2", "ws in TLS", "http", headed, headed), strict=True
        ):
            self.assertTrue(text.endswith(f"): {ways}"), (text, ways))
        # It has neither met a client, nor found a file of its own changed.
        self.assertEqual(sorted(path.name for path in gateway.folder.iterdir()), before)
        os.kill(gateway.pid, signal.SIGUSR2)
        until(lambda: "connections ended, by cause: {}" in gateway.log, "counts")

        (tried_there,) = trials(check(gateway, 0, "--against", gateway.at("auto")))
        self.assertIn(f"{gateway.at('auto')} (Gnetway.Server[1]): {auto}", tried_there.text)
        *faults, rest = trials(check(gateway, 1, "--against", f"127.0.0.1:{self.proxied}"))
        self.assertEqual([fault.level for fault in faults], ["fault"] * 3)
        self.assertIn("there, without TLS and with a PROXY header before it?", faults[0].text)
        self.assertIn("in Gnetway.Server[4].ProxyProtocol.TrustedNetworks;", faults[0].remedy)
        self.assertIn(": not tried any more: full, obf-abridged, ", rest.text)
        note, fault = trials(check(gateway, 1, "--against", f"127.0.0.1:{free_port()}"))
        self.assertIn(": taken for Gnetway.Server[0], as a balancer may change it", note.text)
        self.assertIn(": Connection refused", fault.text)
        self.assertIn("start it, or compare Gnetway.Server[0].Addresses", fault.remedy)


class PeersTests(TestCase):
    def setUp(self) -> None:
        self.etcd = EtcdServer()
        self.addCleanup(self.etcd.remove)
        self.etcd.start()
        self.gateway = ClusterGateway(self.etcd.host, False, {})
        self.addCleanup(self.gateway.remove)

    def peers(self, status: int, *more: str) -> list[Found]:
        found = check(self.gateway, status, "--timeout", "3", *more)
        return [one for one in found if one.step in ("etcd", "session node")]

    def configure(self, section: str, **keys: object) -> None:
        etcd = self.gateway.config[section]
        assert isinstance(etcd, dict)
        etcd.get("Etcd", etcd).update(keys)
        self.gateway.write_config()

    def test_nodes_that_live_and_die(self) -> None:
        node = SessionNode(SessionService(reply_by_stream=False))
        self.addCleanup(node.kill)
        node.start()
        self.etcd.ctl("put", f"{SESSIONS}/1", node.address)
        dead = f"127.0.0.1:{free_port()}"
        self.etcd.ctl("put", f"{SESSIONS}/2", dead)
        *_, lives, dies = self.peers(0)
        self.assertEqual(lives, ("ok", "session node", f"{node.address} answers by gRPC", ""))
        self.assertEqual(dies.level, "warning")
        self.assertIn(f"{dead}: 14 UNAVAILABLE: cannot connect to", dies.text)
        node.kill()
        self.configure("Etcd", Hosts=[f"127.0.0.1:{free_port()}"])
        gone, _, *dead_nodes = self.peers(1)
        self.assertEqual((gone.level, gone.step), ("fault", "etcd"))
        self.assertIn("start etcd, or compare Hosts in Etcd with where it listens", gone.remedy)
        self.assertEqual([one.level for one in dead_nodes], ["fault", "fault"])
        self.assertIn("start it, or see whether a firewall", dead_nodes[0].remedy)

    def test_passwords_and_an_empty_prefix(self) -> None:
        self.etcd.ctl("user", "add", "root:secret")
        self.etcd.ctl("user", "grant-role", "root", "root")
        self.etcd.ctl("auth", "enable")
        self.configure("Etcd", User="root", Pass="another secret")
        self.configure("Session", User="root", Pass="secret", Key="interface.sessions")
        wrong, right, empty = self.peers(1)
        self.assertEqual((wrong.level, right.level, empty.level), ("fault", "ok", "fault"))
        self.assertIn("User root and Pass are not etcd's", wrong.text)
        self.assertNotIn("another secret", wrong.text)
        self.assertIn("compare User and Pass in Etcd with etcd's", wrong.remedy)
        self.assertEqual(empty.text, "etcd names none below interface.sessions/")
        self.assertIn("start a session service, or compare Session.Etcd.Key", empty.remedy)
