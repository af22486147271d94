"""What the commands print of a running gateway, and what they have it do."""

import json
from typing import Any
from unittest import TestCase
from unittest.mock import patch

from gnetway.cli import running
from gnetway.cli.connections import SORTS, Newest
from gnetway.cli.running import rates, screen
from gnetway.service.connections import _SORTS
from tests.cli.fake_admin import AdminCase, Asked, Ran, run

NOW = 1_000_000.0

#: What a client says of itself is its own: here it would clear a terminal, and turn text round.
RECORD: dict[str, Any] = {
    "id": "1-12",
    "state": "ended",
    "address": "192.0.2.7",
    "peer": "192.0.2.7:4000",
    "listener": "0.0.0.0:10443",
    "transport": "websocket, intermediate",
    "layers": ["TLS"],
    "stage": "exchange step 2",
    "phase": "exchange step 2",
    "started_at": NOW - 70,
    "stopped_at": NOW - 5,
    "uptime_seconds": 65.0,
    "idle_seconds": 2.0,
    "messages_in": 3,
    "pending_bytes": 0,
    "bytes_in": 2048,
    "rtt_ms": 31.25,
    "who": "gateway",
    "cause": "handshake_fingerprint",
    "hint": "the client encrypts for RSA key 18e5",
    "client": {"device": "Pixel", "text": "Android 11.2, \x1b[2JPixel \u202e7, layer 198"},
}

STATUS: dict[str, Any] = {
    "version": "1.0",
    "core": "compiled",
    "started_at": NOW - 3700,
    "ready": True,
    "unready": [],
    "backend": "remote",
    "listeners": ["0.0.0.0:10443"],
    "workers": {"configured": 2, "ready": 1},
    "nodes": [
        {
            "address": "10.0.0.7:20120",
            "state": "up",
            "breaker": "open",
            "listed": True,
            "ring_share": 0.441,
            "in_flight": 3,
            "requests": 1000,
            "failures": 9,
            "latency_ms": 4.25,
        },
        {
            "address": "10.0.0.8:\x1b[2J",
            "state": "down",
            "breaker": "closed",
            "listed": False,
            "ring_share": 0,
            "in_flight": 0,
            "requests": 0,
            "failures": 0,
        },
    ],
    "configuration": {},
    "connections": {"open": 1200, "opened": 5000},
    "keys_made": 40,
    "ends": {"client_closed": 3800, "idle": 1},
    "pushes": {},
    "gauges": {"connections_limit": 9000, "unsent_bytes": 2048, "unsent_bytes_limit": 1 << 20},
    "refused_origins": {},
}

KIND = {
    "who": "gateway",
    "phase": "transport",
    "cause": "unknown_transport",
    "application": "",
    "count": 1200,
    "last_at": NOW - 5,
    "networks": {"192.0.2.0/24": 1200},
    "hint": "the first bytes are no MTProto",
}


def page(*records: dict[str, Any], matched: int = 1) -> dict[str, Any]:
    return {"now": NOW, "total": 7, "matched": matched, "connections": list(records)}


class ConnectionsTests(AdminCase):
    def ask(self, *arguments: str, terminal: bool = False) -> Ran:
        return run("connections", self.at, *arguments, terminal=terminal)

    def test_what_is_asked_for(self) -> None:
        self.put("GET /api/connections", page())
        usual = {"limit": "100", "offset": "0"}
        for arguments, given in (
            ((), {"state": "open"}),
            (("--failed",), {"state": "ended", "failed": "1"}),
            (
                ("--state", "all", "--phase", "exchange step 2", "--who", "gateway"),
                {"state": "all", "phase": "exchange step 2", "who": "gateway"},
            ),
            (
                ("--cause", "idle", "--address", "192.0.2.0/24", "--client", "pixel 7"),
                {"state": "open", "cause": "idle", "address": "192.0.2.0/24", "client": "pixel 7"},
            ),
            (
                ("--sort", "bytes_in", "--reverse", "--limit", "5", "--offset", "9"),
                {"state": "open", "sort": "bytes_in", "order": "asc", "limit": "5", "offset": "9"},
            ),
        ):
            self.assertEqual(self.ask(*arguments).status, 0)
            self.assertEqual(self.admin.asked.pop().given, usual | given)

    def test_sorted_by_whatever_the_gateway_sorts_by(self) -> None:
        self.assertEqual(SORTS, tuple(_SORTS))

    def test_misuse(self) -> None:
        for arguments in (("--limit", "10001"), ("--limit", "-1"), ("--state", "closed")):
            with self.assertRaises(SystemExit) as ended:
                self.ask(*arguments)
            self.assertEqual(ended.exception.code, 2)

    def test_a_table(self) -> None:
        self.put("GET /api/connections", page(RECORD))
        head, row, summary = self.ask("--state", "all").out.splitlines()
        self.assertEqual(
            head.split(),
            [
                "ID",
                "ADDRESS",
                "TRANSPORT",
                "STAGE",
                "ENDED",
                "AGE",
                "IDLE",
                "IN",
                "RTT",
                "END",
                "CLIENT",
            ],
        )
        self.assertIn("TLS, websocket, intermediate", row)
        self.assertIn("1 min 5 s   2 s  2.0 KiB  31.2 ms", row)
        self.assertIn("gateway, exchange step 2, handshake_fingerprint", row)
        self.assertEqual(summary, "1 of 1 that match; 7 looked through")

    def test_no_text_of_a_client_steers_the_terminal(self) -> None:
        self.put("GET /api/connections", page(RECORD))
        self.put("GET /api/connections/1-12", RECORD)
        self.put("GET /api/failures", {"now": NOW, "failures": [KIND | {"application": "\x07"}]})
        for ran in (
            self.ask("--state", "all"),
            self.ask("--state", "all", "--json"),
            run("connection", "1-12", self.at),
            run("connection", "1-12", self.at, "--json"),
            run("failures", self.at),
        ):
            self.assertEqual(ran.status, 0, ran.err)
            self.assertTrue(ran.out.replace("\n", "").isprintable(), ran.out)

    def test_it_fits_a_terminal(self) -> None:
        self.put("GET /api/connections", page(RECORD))
        for columns in (200, 120, 80, 40):
            with patch.dict("os.environ", COLUMNS=str(columns)):
                out = self.ask("--state", "all", terminal=True).out
            self.assertLessEqual(max(map(len, out.splitlines())), columns)
            self.assertIn("1-12", out)

    def test_several_pages_are_one_list(self) -> None:
        def answer(asked: Asked) -> tuple[int, object]:
            first, limit = int(asked.given["offset"]), int(asked.given["limit"])
            found = range(first, min(first + limit, 2500))
            return 200, page(*({**RECORD, "id": str(number)} for number in found), matched=2500)

        self.admin.answers["GET /api/connections"] = answer
        whole = json.loads(self.ask("--limit", "10000", "--json").out)
        self.assertEqual([one["id"] for one in whole["connections"]], list(map(str, range(2500))))
        self.assertEqual((whole["matched"], whole["limit"]), (2500, 10000))
        some = json.loads(self.ask("--limit", "1200", "--offset", "100", "--json").out)
        self.assertEqual([one["id"] for one in some["connections"]][-1], "1299")

    def test_one_connection(self) -> None:
        self.put("GET /api/connections/1-12", RECORD)
        out = run("connection", "1-12", self.at).out
        self.assertRegex(out, r"bytes_in +2.0 KiB \(2048\)\n")
        self.assertRegex(out, r"hint +the client encrypts for RSA key 18e5\n")
        self.put("GET /api/connections/9", {"error": "no connection of that id"}, 404)
        self.assertIn("no connection of that id", run("connection", "9", self.at).err)


class FailuresTests(AdminCase):
    def test_kinds(self) -> None:
        self.put("GET /api/failures", {"now": NOW, "failures": [KIND]})
        first, networks, hint = run("failures", self.at).out.splitlines()
        self.assertIn("1,200 times: gateway, transport, unknown_transport, the last at", first)
        self.assertEqual(networks.strip(), "from 192.0.2.0/24 (1,200)")
        self.assertEqual(hint.strip(), KIND["hint"])

    def follow(self, *answers: tuple[int, object], as_json: bool = False) -> list[str]:
        """Return the lines until the last of the answers, after which comes Ctrl-C."""
        self.admin.answers["GET /api/connections"] = list(answers)
        waits = iter([None] * (len(answers) - 1))

        def sleep(_: float) -> None:
            if next(waits, self) is self:
                raise KeyboardInterrupt

        with patch("gnetway.cli.connections.sleep", sleep):
            ran = run("failures", "--follow", self.at, *(["--json"] if as_json else []))
        self.assertEqual((ran.status, ran.err), (0, ""))
        return ran.out.splitlines()

    def test_a_line_for_each_that_is_new(self) -> None:
        again = RECORD | {"id": "1-13", "stopped_at": NOW - 1}
        first, second = self.follow((200, page(RECORD)), (200, page(again, RECORD)))
        self.assertTrue(
            first.endswith(
                r" 192.0.2.7 Android 11.2, \x1b[2JPixel \u202e7, layer 198: gateway, exchange step"
                " 2, handshake_fingerprint - the client encrypts for RSA key 18e5"
            ),
            first,
        )
        self.assertIn("192.0.2.7 Android", second)

    def test_as_json_an_object_a_line(self) -> None:
        (line,) = self.follow((200, page()), (200, page(RECORD)), as_json=True)
        self.assertEqual(json.loads(line), RECORD)

    def test_none_is_told_twice_or_missed(self) -> None:
        newest = Newest()

        def told(*ends: tuple[str, float], now: float) -> list[str]:
            records = [{"id": name, "stopped_at": when} for name, when in ends]
            return [record["id"] for record in newest.of(records, now)]

        self.assertEqual(told(("b", 99.5), ("a", 99.0), now=100), ["a", "b"])
        # One comes late, since its socket was; one shows that was hidden by a longer list.
        self.assertEqual(told(("b", 99.5), ("late", 98.0), ("old", 1.0), now=102), ["late"])
        self.assertEqual(told(("c", 103.0), ("b", 99.5), ("late", 98.0), now=104), ["c"])
        # The gateway's clock is set back by an hour, and goes on.
        self.assertEqual(told(("d", -3500.0), now=-3490.0), ["d"])
        self.assertEqual(told(("e", -3400.0), ("d", -3500.0), now=-3390.0), ["e"])


class OrdersTests(AdminCase):
    def test_end_and_drain_one(self) -> None:
        for name in ("end", "drain"):
            self.put(f"POST /api/connections/1-12/{name}", {"id": "1-12", "done": name})
            ran = run(name, "1-12", self.at)
            self.assertEqual((ran.status, ran.err), (0, ""))
            self.assertIn("X-Gnetway-Request", self.admin.asked[-1].headers)
        self.put("POST /api/connections/9/end", {"error": "no connection of that id"}, 404)
        self.assertEqual(run("end", "9", self.at).status, 1)

    def test_an_id_is_no_path(self) -> None:
        self.assertEqual(run("end", "../../drain?", self.at).status, 1)
        self.assertEqual(self.admin.asked[0].path, "/api/connections/..%2F..%2Fdrain%3F/end")

    def drain(self, *answers: tuple[int, object]) -> Ran:
        self.admin.answers["GET /api/status"] = list(answers)
        self.put("POST /api/drain", {"done": "drain"}, 202)
        with patch.object(running, "_LOOK_SECONDS", 0), patch.object(running, "_LINE_SECONDS", 0):
            return run("drain", self.at)

    def test_the_whole_gateway_until_it_is_gone(self) -> None:
        def left(number: int, started_at: float) -> tuple[int, object]:
            return 200, {"started_at": started_at, "connections": {"open": number}}

        ran = self.drain(left(9, 1.0), left(7, 1.0), left(0, 1.0), left(3, 2.0))
        first, second, last = ran.out.splitlines()
        self.assertEqual(first, "the gateway drains: 7 connections left")
        self.assertEqual(second, "the gateway drains: no connections left")
        self.assertIn("the gateway has ended after 0 s", last)
        self.assertEqual(ran.status, 0)

    def test_a_gateway_that_somebody_else_ends(self) -> None:
        self.put("GET /api/status", {"started_at": 1.0, "connections": {"open": 0}})
        self.put("POST /api/drain", {"error": "drain: the application ends it"}, 400)
        self.assertIn("the application ends it", run("drain", self.at).err)

    def reload(self, **others: object) -> Ran:
        answer = {"number": 3, "outcome": "taken", "digest": "ab", "faults": [], "failed": []}
        self.put("POST /api/reload", answer | others)
        return run("reload", self.at)

    def test_reload(self) -> None:
        ran = self.reload(taken=["RSAKey", "Gnetway.Drain.PerSecond"], needs_restart=["Rpc"])
        self.assertEqual((ran.status, ran.err), (0, ""))
        self.assertEqual(
            ran.out.splitlines(),
            [
                "reload 3: taken, ab runs",
                "taken: RSAKey, Gnetway.Drain.PerSecond",
                "these need a restart: Rpc",
            ],
        )
        ran = self.reload(outcome="unchanged", taken=[], needs_restart=[])
        self.assertEqual(ran.out, "reload 3: unchanged, ab runs\n")

    def test_a_reload_with_faults(self) -> None:
        faults = ["g.yaml:3: Log.Level: found 'x'", "g.yaml:4: \x1b"]
        ran = self.reload(outcome="faulty", faults=faults)
        self.assertEqual((ran.status, ran.out), (1, ""))
        head = "gnetway: reload 3: faulty, nothing has changed"
        self.assertEqual(ran.err, f"{head}\n{faults[0]}\ng.yaml:4: \\x1b\n")
        ran = self.reload(outcome="incomplete", failed=["worker 1: gone"])
        self.assertEqual(
            (ran.status, ran.err), (1, "gnetway: reload 3: incomplete\nworker 1: gone\n")
        )

    def test_a_gateway_that_cannot_reload(self) -> None:
        self.assertIn("this gateway cannot reload", run("reload", self.at).err)


class StatusTests(AdminCase):
    def test_one_screen(self) -> None:
        self.put("GET /api/status", STATUS)
        self.put("GET /api/failures", {"now": NOW, "failures": [KIND]})
        ran = run("status", self.at, "--watch")
        self.assertEqual(ran.status, 0)
        self.assertIn("1,200 open of 9,000, 5,000 since the start", ran.out)
        self.assertIn("1 of 2 serve", ran.out)
        told = "10.0.0.7:20120 up, breaker open, 44.1% of the keys, 3 in flight, 9 of 1,000"
        self.assertIn(f"{told} requests failed, 4.2 ms", ran.out)
        self.assertIn(r"10.0.0.8:\x1b[2J down, not listed, 0 in flight", ran.out)
        self.assertIn("unsent 2.0 KiB of 1.0 MiB", ran.out)
        self.assertIn("1,200 times gateway, transport, unknown_transport: the first", ran.out)
        self.assertNotIn("\x1b", ran.out)

    def test_not_ready(self) -> None:
        self.put("GET /api/status", STATUS | {"ready": False, "unready": ["etcd is away"]})
        self.put("GET /api/failures", b"not for you\n", 403)
        ran = run("status", self.at)
        self.assertEqual((ran.status, ran.err), (1, ""))
        self.assertIn("NOT READY", ran.out)
        self.assertIn("etcd is away", ran.out)
        self.assertEqual(run("status", self.at, "--json").status, 1)

    def test_watched(self) -> None:
        """On a screen of its own, which is left at Ctrl-C; a gateway that is away is waited for."""
        later = STATUS | {"connections": {"open": 1, "opened": 5050}}
        self.admin.answers["GET /api/status"] = [(200, STATUS), (200, STATUS), (200, later)]
        self.put("GET /api/failures", {"now": NOW, "failures": []})
        with (
            patch.dict("os.environ", TERM="xterm", COLUMNS="60", LINES="8"),
            patch("gnetway.cli.running.sleep", side_effect=[None, KeyboardInterrupt]),
        ):
            ran = run("status", self.at, "--watch", terminal=True)
        self.assertEqual(ran.status, 0)
        self.assertTrue(ran.out.startswith("\x1b[?1049h") and ran.out.endswith("\x1b[?1049l"))
        drawn = ran.out.split("\x1b[H\x1b[J")[1:]
        self.assertEqual([shown.count("\n") for shown in drawn], [7, 7])
        self.assertIn(" opened, ", drawn[1])

    def test_rates(self) -> None:
        later = STATUS | {
            "connections": {"open": 1, "opened": 5050},
            "keys_made": 45,
            "ends": {"client_closed": 3811},
        }
        told = "25.0 opened, 2.5 auth keys made, 5.0 ends and failures a second"
        self.assertEqual(rates(STATUS, later, 2.0), told)
        self.assertEqual(rates(STATUS, later | {"started_at": NOW}, 2.0), "")
        self.assertEqual(rates(None, later, 2.0), "")


class ScreenTests(TestCase):
    def test_what_is_not_measured_is_left_out(self) -> None:
        bare = STATUS | {"gauges": {}, "workers": {"configured": 0, "ready": 0}, "ends": {}}
        shown = "\n".join(screen(bare, [], NOW))
        for name in ("workers", "memory", "event loop", "now"):
            self.assertNotIn(f"\n{name}", shown)
        self.assertIn("up 1 h 1 min", shown)
