"""The admin site of a running gateway: before, while, and after clients are served."""

import json
import re
import socket
import struct
import urllib.error
import urllib.request
from hashlib import sha256
from pathlib import Path
from typing import Any
from unittest import TestCase

from gnetway.testing import plain_packet
from gnetway.tl.key_exchange import ReqPq
from tests.admin.json_schema import faults
from tests.live.client import LiveClient
from tests.live.cluster.cluster import ClusterTestCase
from tests.live.gateway import Gateway, until
from tests.ports import free_port

TOKEN = "0123456789abcdef"


class AdminPage:
    """The admin site at a port of this machine."""

    def __init__(self) -> None:
        self.port = free_port()

    @property
    def config(self) -> dict[str, object]:
        return {"Addresses": [f"127.0.0.1:{self.port}"], "Token": TOKEN}

    def ask(self, path: str, token: str = TOKEN, method: str = "GET") -> tuple[int, str]:
        """Return the status and the body of an answer; 0 where nobody listens."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method)
        request.add_header("Authorization", f"Bearer {token}")
        if method == "POST":
            request.add_header("X-Gnetway-Request", "1")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def metrics(self) -> dict[str, float]:
        status, text = self.ask("/metrics")
        assert status == 200, text
        return {name: float(value) for name, value in re.findall(r"(?m)^(gnetway_.+) (\S+)$", text)}

    def connections(self, query: str = "") -> list[dict[str, Any]]:
        status, text = self.ask(f"/api/connections?{query}")
        assert status == 200, text
        found: list[dict[str, Any]] = json.loads(text)["connections"]
        return found

    def gauge(self, name: str) -> float:
        return self.metrics()[f"gnetway_{name}"]


def established(port: int) -> int:
    """Return how many connections to a port of this machine the system has.

    Source: proc_pid_net(5): local address, remote address, state 01
    """
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(1 for row in rows if row[1].endswith(f":{port:04X}") and row[3] == "01")


class SingleTests(TestCase):
    def setUp(self) -> None:
        self.gateway = Gateway()
        self.addCleanup(self.gateway.remove)
        self.page = AdminPage()
        self.gateway.config["Admin"] = self.page.config
        self.gateway.config["Prometheus"] = {"Host": "127.0.0.1", "Port": free_port()}
        self.gateway.write_config()
        self.gateway.start()

    def test_what_clients_do_is_counted(self) -> None:
        page = self.page
        self.assertEqual(page.ask("/readyz"), (200, "ready\n"))
        self.assertEqual(page.gauge("connections"), 0)
        with LiveClient(self.gateway) as client:
            session = client.make_key()
            client.ping(session)
            metrics = page.metrics()
            self.assertEqual(metrics["gnetway_connections"], 1)
            self.assertEqual(metrics["gnetway_sessions"], 1)
            self.assertEqual(metrics['gnetway_handshake_total{result="ok"}'], 1)
        until(lambda: page.gauge("connections") == 0, "the connection is gone")
        metrics = page.metrics()
        self.assertEqual(metrics['gnetway_conn_open_total{proto="tcp"}'], 1)
        self.assertEqual(metrics['gnetway_conn_close_total{proto="tcp"}'], 1)
        end = 'cause="client_closed",phase="in use",who="client"'
        self.assertEqual(metrics[f"gnetway_connection_ends_total{{{end}}}"], 1)
        self.assertEqual(metrics['gnetway_connection_end_stages_total{stage="answered"}'], 1)
        self.assertEqual(metrics["gnetway_received_messages_total"], 1)
        self.assertGreaterEqual(metrics["gnetway_sent_messages_total"], 1)
        self.assertGreater(metrics["gnetway_received_bytes_total"], 500)
        self.assertGreater(metrics["gnetway_sent_bytes_total"], 500)
        counted = 'gnetway_msg_process_duration_ms_count{type="encrypted"}'
        self.assertEqual(metrics[counted], 1)
        self.assertEqual(metrics["gnetway_key_cache_keys"], 1)
        self.assertEqual(metrics["gnetway_rsa_keys"], 1)
        self.assertEqual(metrics['gnetway_ends_total{cause="client_closed"}'], 1)
        self.assertGreater(metrics["gnetway_resident_memory_bytes"], 1 << 20)

    def test_gauges_are_what_the_system_sees(self) -> None:
        """After a storm of connections that come, go and break."""
        page = self.page
        kept = []
        for number in range(300):
            client = socket.create_connection(("127.0.0.1", self.gateway.port))
            fate = sha256(b"%d" % number).digest()[0] % 3
            if fate == 0:
                kept.append(client)
                client.sendall(b"\xef")
                self.addCleanup(client.close)
            else:
                if fate == 1:
                    # Closed by a reset.
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.close()
        until(lambda: page.gauge("connections") == len(kept), "those that have left are gone")
        self.assertEqual(established(self.gateway.port), len(kept))
        metrics = page.metrics()
        self.assertEqual(metrics["gnetway_half_open_connections"], len(kept))
        opened, closed = (
            metrics[f'gnetway_conn_{what}_total{{proto="tcp"}}'] for what in ("open", "close")
        )
        self.assertEqual((opened, closed), (300, 300 - len(kept)))
        self.assertEqual(len(page.connections("limit=1000")), len(kept))

    def test_a_connection_and_its_end(self) -> None:
        client = self.enterContext(LiveClient(self.gateway))
        session = client.make_key()
        client.ping(session)
        (shown,) = self.page.connections()
        self.assertEqual((shown["stage"], shown["phase"]), ("answered", "in use"))
        self.assertEqual((shown["messages_in"], shown["keys"], shown["sessions"]), (1, 1, 1))
        self.assertGreater(shown["bytes_in"], 500)
        self.assertIn("rtt_ms", shown)
        self.assertEqual(self.page.ask(f"/api/connections/{shown['id']}")[0], 200)
        path = f"/api/connections/{shown['id']}/end"
        self.assertEqual(self.page.ask(path, method="POST")[0], 200)
        until(lambda: self.page.connections() == [], "it is gone")
        (ended,) = self.page.connections("state=ended")
        self.assertEqual((ended["who"], ended["cause"]), ("drain", "ended_by_operator"))
        self.assertEqual(self.page.ask(path, method="POST")[0], 404)

    def test_why_clients_fail(self) -> None:
        """As an operator reads it: in the list, by kind, and in the log."""
        with socket.create_connection(("127.0.0.1", self.gateway.port)) as client:
            client.sendall(b"\x16\x03\x01\x02\x00\x01" + bytes(100))
            client.recv(1)
        with LiveClient(self.gateway) as begun:
            begun.send(plain_packet(ReqPq(bytes(16), multi=True).pack(), 1))
            begun.receive()
        until(lambda: len(self.page.connections("state=ended")) == 2, "both are gone")
        kinds = json.loads(self.page.ask("/api/failures")[1])["failures"]
        found = {(kind["who"], kind["phase"], kind["cause"]): kind["hint"] for kind in kinds}
        self.assertIn("TLS", found["gateway", "transport", "unknown_transport"])
        hint = found["client", "exchange step 1", "gave_up_at_res_pq"]
        self.assertIn("give it our .pub file", hint)
        until(lambda: "exchange step 1: gave_up_at_res_pq" in self.gateway.log, "the log says so")

    def test_answers_are_as_the_schema_has_them(self) -> None:
        client = self.enterContext(LiveClient(self.gateway))
        client.ping(client.make_key())
        for path, definition in {
            "status": "status",
            "summary": "summary",
            "connections?state=all": "connections",
            "failures": "failures",
            "reloads": "reloads",
            "connections?limit=x": "error",
        }.items():
            answer = json.loads(self.page.ask(f"/api/{path}")[1])
            self.assertEqual(faults(definition, answer), [], path)

    def test_no_secret_is_shown(self) -> None:
        with LiveClient(self.gateway) as client:
            session = client.make_key()
            client.ping(session)
            paths = ("/metrics", "/api/status", "/api/connections?state=all", "/api/failures")
            shown = "".join(self.page.ask(path)[1] for path in paths)
        for key_id in (session.key.auth_key_id, session.key.auth_key_id % (1 << 64)):
            self.assertNotIn(str(key_id), shown)
        self.assertNotIn(TOKEN, shown + self.gateway.log)

    def test_without_the_token(self) -> None:
        for path, status in (("/healthz", 200), ("/readyz", 200), ("/metrics", 401)):
            self.assertEqual(self.page.ask(path, "wrong")[0], status)

    def test_teamgrams_block(self) -> None:
        prometheus = AdminPage()
        prometheus.port = self.gateway.config["Prometheus"]["Port"]  # type: ignore[index]
        self.assertIn("gnetway_ready 1.0", prometheus.ask("/metrics")[1])
        self.assertEqual(prometheus.ask("/api/status")[0], 404)

    def test_a_socket_in_the_file_system(self) -> None:
        """Its mode is that of the file, and it is gone with the gateway."""
        self.gateway.stop()
        path = self.gateway.folder / "admin.sock"
        for mode in (0o600, 0o660):
            addresses = {"Addresses": [f"unix:{path}"], "UnixMode": mode}
            self.gateway.config["Admin"] = addresses
            self.gateway.write_config()
            self.gateway.start()
            self.assertEqual(path.stat().st_mode & 0o777, mode)
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(path))
                client.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
                answer = b"".join(iter(lambda: client.recv(4096), b""))
            self.assertTrue(answer.endswith(b"\r\n\r\nok\n"), answer)
            self.gateway.stop()
            self.assertFalse(path.exists())

    def test_a_port_that_is_taken(self) -> None:
        other = Gateway()
        self.addCleanup(other.remove)
        other.config["Admin"] = self.page.config
        other.write_config()
        with self.assertRaisesRegex(AssertionError, r"Admin\.Addresses\[0\]: found .* cannot be"):
            other.start()


class UnreadyTests(ClusterTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.page = AdminPage()
        self.gateway.config["Admin"] = self.page.config
        self.gateway.write_config()

    def test_says_why_until_a_node_is_there(self) -> None:
        self.gateway.start()
        status, why = self.page.ask("/readyz")
        self.assertEqual(status, 503)
        self.assertIn("no session node is known", why)
        self.assertEqual(self.page.ask("/healthz")[0], 200)
        (node,) = self.start_nodes(1)
        self.list_node(node.address)
        until(lambda: self.page.ask("/readyz") == (200, "ready\n"), "ready")
        with LiveClient(self.gateway) as client:
            client.make_key()
        status = json.loads(self.page.ask("/api/status")[1])
        self.assertTrue(status["ready"])
        self.assertEqual(status["etcd"], {"registered": True})
        (shown,) = status["nodes"]
        self.assertEqual((shown["address"], shown["state"]), (node.address, "up"))
        self.assertEqual((shown["breaker"], shown["ring_share"]), ("closed", 1))
        self.assertEqual((shown["requests"], shown["failures"]), (1, 0))
        self.assertGreater(shown["latency_ms"], 0)
        latency = f'method="session_setAuthKey",node="{node.address}"'
        metrics = self.page.metrics()
        self.assertEqual(metrics[f"gnetway_backend_latency_seconds_count{{{latency}}}"], 1)
        self.assertEqual(metrics["gnetway_outage_messages"], 0)
