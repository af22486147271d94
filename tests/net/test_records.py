"""The records of connections: how far they came, who has ended them, and whose are kept."""

import struct
from dataclasses import replace

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gnetway.admission.accounts import AccountLimits, Accounts
from gnetway.admission.admission import Admission, Bounds
from gnetway.admission.place import NO_PLACE, Facts, Place
from gnetway.ends import CAUSES, Phase, Stage, Who, hint_of, who_ended
from gnetway.metrics import Causes
from gnetway.net.link_services import LinkLimits
from gnetway.net.open_links import id_of
from gnetway.net.records import (
    ConnectionRecords,
    EndedRecords,
    Record,
    SocketFacts,
    socket_facts,
)
from gnetway.testing import Bends
from gnetway.tl.key_exchange import ReqDHParams
from gnetway.tl.service_messages import Ping
from tests.fakes import some_key
from tests.handshake.server import make_client
from tests.net.gateway import Gateway
from tests.test_causes import causes

TALKING = Facts(Stage.ANSWERED, Phase.IN_USE, "192.0.2.1", "abridged")
WALL = 1_700_000_000.0


def tcp_info(silent_ms: int, rtt_us: int, received: int, sent: int) -> bytes:
    """As the kernel has it: what is read of it, and zeros."""
    info = bytearray(136)
    struct.pack_into("@I", info, 52, silent_ms)
    struct.pack_into("@I", info, 68, rtt_us)
    struct.pack_into("@QQ", info, 120, sent, received)
    return bytes(info)


class FakePort:
    def __init__(self, proto: str) -> None:
        self.proto = proto


class FakeTransport:
    client = ("192.0.2.1", 40000)
    server: FakePort | None = None

    def abortConnection(self) -> None:  # noqa: N802
        """See Cut."""


class RecordsCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(100)
        self.causes = Causes()
        self.accounts = Accounts(lambda network: AccountLimits())
        self.records = ConnectionRecords(
            self.clock, lambda: WALL + self.clock.seconds(), self.causes, self.accounts
        )
        self.admission = Admission(Bounds(), self.causes.count)
        self.admission.gone = self.records.gone

    def let_in(self, address: str = "192.0.2.1") -> Place:
        now = self.clock.seconds()
        place = self.admission.admit(self.accounts.of(address, now), now)
        place.carried(FakeTransport())
        return place


class EndTests(RecordsCase):
    def test_it_is_frozen_when_the_transport_is_gone(self) -> None:
        place = self.let_in()
        place.passed("TLSv1.3")
        self.clock.advance(5)
        self.records.note_end(place, "idle", TALKING, "after a while")
        self.assertEqual(len(self.records.ended), 0)
        self.clock.advance(2)
        place.left()
        place.gone(FakeTransport(), tcp_info(1500, 2500, 300, 700))
        (record,) = self.records.ended
        self.assertEqual((record.started_at, record.stopped_at), (WALL + 100, WALL + 107))
        self.assertEqual((record.cause, record.who, record.layers), ("idle", "limit", ("TLSv1.3",)))
        self.assertEqual(record.socket, SocketFacts(2.5, 1500, 300, 700))
        self.assertEqual(record.peer, "192.0.2.1:40000")
        shown = record.as_json("", WALL + 200)
        self.assertEqual(shown["uptime_seconds"], 7)
        self.assertEqual(shown["last_activity_at"], WALL + 105.5)
        self.assertEqual((shown["state"], shown["phase"]), ("ended", "in use"))

    def test_what_could_not_be_decoded(self) -> None:
        """Counted by how the client has spoken, by no name of its own."""
        for transport, cause in (
            ("obfuscated abridged", "bad_msg_key"),
            ("websocket, obfuscated intermediate", "bad_msg_key"),
            ("http", "http_413"),
            ("", "unknown_transport"),
            ("", "idle"),
        ):
            place = self.let_in()
            self.records.note_end(place, cause, TALKING._replace(transport=transport))
        self.assertEqual(
            self.records.counts.totals()["codec_decode_errors"],
            {"tcp|decrypt": 1, "websocket|decrypt": 1, "http|bad_len": 1, "tcp|bad_magic": 1},
        )

    def test_opened_and_closed_by_what_the_listener_speaks(self) -> None:
        port, relayed = FakePort("auto"), FakePort("")
        for _ in range(3):
            self.records.counts.let_in(port)
        self.records.counts.let_in(relayed)
        transport = FakeTransport()
        transport.server = port
        self.let_in().gone(transport, b"")
        totals = self.records.counts.totals()
        self.assertEqual((totals["conn_open"], totals["conn_close"]), ({"auto": 3}, {"auto": 1}))
        self.assertEqual(self.records.counts.open_now, 2)

    def test_what_was_decided_first_counts(self) -> None:
        place = self.let_in()
        self.records.note_end(place, "slow_reader", TALKING)
        self.records.note_end(place, "client_lost", TALKING)
        self.assertEqual(self.records.counts.ends, {(Who.LIMIT, Phase.IN_USE, "slow_reader"): 1})

    def test_an_open_one(self) -> None:
        place = self.let_in()
        self.assertIsNone(self.records.record_of(place))
        place.serves(Serving())
        record = self.records.record_of(place)
        assert record is not None
        self.assertEqual((record.cause, record.stopped_at, record.id), ("", 0.0, id_of(place)))
        self.assertNotIn("cause", record.as_json("", WALL + 101))
        # Its end was decided, and what was written may still leave.
        self.records.note_end(place, "idle", TALKING)
        record = self.records.record_of(place)
        assert record is not None
        self.assertEqual((record.facts.phase, record.cause), (Phase.ENDING, "idle"))

    def test_each_has_an_id_of_its_own(self) -> None:
        places = [self.let_in() for _ in range(100)]
        self.assertEqual(len({id_of(place) for place in places}), 100)
        self.assertEqual(self.records.places(), places)
        self.assertIs(self.records.find(id_of(places[7])), places[7])
        self.assertIsNone(self.records.find(5))

    def test_one_that_nobody_has_let_in_is_counted_only(self) -> None:
        self.records.note_end(NO_PLACE, "idle", TALKING)
        self.assertIsNone(NO_PLACE.ended)
        self.assertEqual(self.causes.as_dict(), {"idle": 1})

    def test_one_that_was_refused(self) -> None:
        self.records.refused(self.accounts.of("192.0.2.9", 0), "address_denied")
        (record,) = self.records.ended
        self.assertEqual(record.facts.client_ip, "192.0.2.9")
        self.assertEqual((record.who, record.facts.phase), ("limit", Phase.ACCEPT))
        # Whoever has refused it has counted it.
        self.assertEqual(self.causes.as_dict(), {})

    def test_only_failures_are_told(self) -> None:
        told: list[str] = []
        self.records.when_failed = lambda end: told.append(end.cause)
        for cause in ("client_closed", "handshake_fingerprint", "gateway_stopped"):
            self.records.note_end(self.let_in(), cause, TALKING)
        self.assertEqual(told, ["handshake_fingerprint"])


class Serving:
    def end(self, cause: str) -> None:
        """See Served."""

    def facts(self) -> Facts:
        return TALKING


class HeldTests(RecordsCase):
    def test_one_that_leaves_while_it_is_held_is_held_no_more(self) -> None:
        place = self.let_in()
        self.assertTrue(place.hold(place.account))
        place.left()
        place.release(place.account)
        self.assertEqual((self.admission.held, place.account.held), (0, 0))


class KernelTests(SynchronousTestCase):
    def test_an_older_kernel_tells_less(self) -> None:
        whole = tcp_info(1, 2000, 3, 4)
        self.assertEqual(socket_facts(whole), SocketFacts(2.0, 1, 3, 4))
        self.assertEqual(socket_facts(whole[:104]), SocketFacts(2.0, 1))
        self.assertEqual(socket_facts(b""), SocketFacts())


def ended(number: int, address: str) -> Record:
    facts = TALKING._replace(client_ip=address)
    return Record(number, 0, 1, "idle", "", facts, SocketFacts(), (), address, "")


class FairTests(SynchronousTestCase):
    def test_who_has_most_loses_his_oldest(self) -> None:
        kept = EndedRecords(10)
        for number in range(3):
            kept.add(ended(number, f"192.0.2.{number}"))
        for number in range(100, 200):
            kept.add(ended(number, "203.0.113.1"))
        self.assertEqual(
            [record.id for record in kept], [199, 198, 197, 196, 195, 194, 193, 2, 1, 0]
        )
        self.assertIsNone(kept.get(150))
        self.assertIsNotNone(kept.get(0))

    def test_among_equals_the_oldest_goes(self) -> None:
        kept = EndedRecords(5)
        for number in range(20):
            kept.add(ended(number, f"192.0.2.{number}"))
        self.assertEqual(sorted(record.id for record in kept), [15, 16, 17, 18, 19])


def for_another_key(query: ReqDHParams) -> ReqDHParams:
    return replace(query, fingerprint=0x18E5)


class StageTests(SynchronousTestCase):
    """How far a link has come shows by what it has, without being noted anywhere."""

    def test_from_the_first_byte_to_an_answer(self) -> None:
        gateway = Gateway()
        link = gateway.connect()
        seen = [link.link.facts().stage]
        client = make_client()
        query: bytes | None = client.begin()
        while query is not None:
            answer = link.ask(query)
            seen.append(link.link.facts().stage)
            query = client.receive(answer)
        self.assertEqual(
            [stage.text for stage in seen],
            ["accepted", "exchange step 1", "exchange step 2", "key known"],
        )

    def test_a_key_of_before(self) -> None:
        gateway = Gateway()
        link, _ = gateway.talking(1)
        facts = link.link.facts()
        self.assertEqual((facts.stage, facts.phase), (Stage.MESSAGE_READ, Phase.IN_USE))
        self.assertEqual((facts.keys, facts.sessions, facts.messages_in), (1, 1, 1))
        self.assertEqual(facts.transport, "abridged")

    def test_while_it_waits(self) -> None:
        gateway = Gateway()
        gateway.backend.held = True
        link = gateway.connect()
        link.say(link.session(some_key(1), 1), Ping(1).pack())
        self.assertEqual(link.link.facts().phase, Phase.KEY_LOOKUP)

    def test_another_servers_key(self) -> None:
        """The client finds none of its fingerprints, and closes, or is silent."""
        for leaves in (True, False):
            gateway = Gateway(limits=LinkLimits(idle_seconds=60))
            link = gateway.connect()
            link.ask(make_client().begin())
            if leaves:
                link.leave()
            else:
                gateway.wait(80)
            self.assertEqual(gateway.ended(), {"gave_up_at_res_pq": 1})
            ((who, phase, _),) = gateway.records.counts.ends
            self.assertEqual((who, phase), (Who.CLIENT, Phase.EXCHANGE_1))

    def test_a_fault_in_a_step(self) -> None:
        gateway = Gateway()
        details: list[str] = []
        gateway.records.when_failed = lambda end: details.append(end.detail)
        link = gateway.connect()
        client = make_client(bends=Bends(req_dh_params=for_another_key))
        query = client.receive(link.ask(client.begin()))
        assert query is not None
        link.query(query)
        ((who, phase, cause),) = gateway.records.counts.ends
        self.assertEqual(
            (who, phase, cause), (Who.GATEWAY, Phase.EXCHANGE_2, "handshake_fingerprint")
        )
        self.assertIn("(00000000000018e5)", details[0])


class CauseTests(SynchronousTestCase):
    #: Counted, and no end of a connection.
    NO_ENDS = frozenset({"http_session_full", "http_session_replaced", "key_changed"})

    def test_each_has_a_hint(self) -> None:
        written = {cause for cause in causes() if not cause.startswith("http_")}
        self.assertEqual(sorted(written - set(CAUSES) - self.NO_ENDS), [])
        for cause in CAUSES:
            hint = hint_of(cause, "a detail", "1 (01)")
            self.assertNotIn("{", hint)
            self.assertIsInstance(who_ended(cause), Who)

    def test_what_is_counted_elsewhere(self) -> None:
        self.assertEqual(who_ended("http_404"), Who.GATEWAY)
        self.assertIn("troubleshooting", hint_of("http_404", "", ""))
