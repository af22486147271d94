"""One admin site for all workers, in their parent."""

import json
import os
import signal

from tests.admin.json_schema import faults
from tests.live.client import LiveClient
from tests.live.gateway import until
from tests.live.test_admin import AdminPage
from tests.live.workers.test_workers import WorkersCase


class WorkersAdminTests(WorkersCase):
    def setUp(self) -> None:
        super().setUp()
        self.page = AdminPage()
        self.gateway.config["Admin"] = self.page.config
        self.gateway.write_config()

    def test_all_workers_together(self) -> None:
        self.serve()
        page = self.page
        until(lambda: page.ask("/readyz") == (200, "ready\n"), "all workers serve")
        for _ in range(6):
            client = self.enterContext(LiveClient(self.gateway))
            client.make_key()
        metrics = page.metrics()
        self.assertEqual(metrics["gnetway_connections"], 6)
        self.assertEqual(metrics['gnetway_handshake_total{result="ok"}'], 6)
        self.assertEqual(metrics["gnetway_workers_ready"], 2)
        shown = page.connections("sort=started&order=asc")
        self.assertEqual(len({one["id"].partition("-")[0] for one in shown}), 2)
        self.assertEqual([one["stage"] for one in shown], ["key known"] * 6)
        summary = json.loads(page.ask("/api/summary")[1])
        self.assertEqual(summary["by_stage"], {"key known": 6})
        path = f"/api/connections/{shown[3]['id']}/end"
        self.assertEqual(page.ask(path, method="POST")[0], 200)
        until(lambda: len(page.connections()) == 5, "it is gone")
        (ended,) = page.connections("state=ended")
        self.assertEqual((ended["id"], ended["cause"]), (shown[3]["id"], "ended_by_operator"))
        status = json.loads(page.ask("/api/status")[1])
        workers = status["workers"]
        self.assertEqual((workers["configured"], workers["ready"]), (2, 2))
        processes = {one["number"]: (one["up"], one["pid"]) for one in workers["processes"]}
        running = self.workers()
        self.assertEqual(processes, {number: (True, running[number]) for number in (0, 1)})
        self.assertEqual(metrics['gnetway_worker_up{worker="1"}'], 1)
        # Each connection once, and what is one thing to all of them not summed.
        self.assertEqual(metrics['gnetway_conn_open_total{proto="tcp"}'], 6)
        self.assertEqual(metrics["gnetway_rsa_keys"], 1)
        (node,) = status["nodes"]
        self.assertEqual((node["state"], node["ring_share"]), ("up", 1))
        self.assertEqual(status["etcd"], {"registered": True})
        self.assertEqual(faults("status", status), [])

    def test_a_worker_that_dies(self) -> None:
        self.serve()
        until(lambda: self.page.ask("/readyz")[0] == 200, "all workers serve")
        os.kill(self.workers()[1], signal.SIGKILL)
        until(lambda: self.page.ask("/readyz") == (503, "worker 1 does not serve\n"), "told")
        self.assertEqual(self.page.ask("/healthz")[0], 200)
        self.assertEqual(self.page.metrics()['gnetway_worker_up{worker="1"}'], 0)
        until(lambda: self.page.ask("/readyz")[0] == 200, "it is back")
