"""Several beginnings of a key exchange on one link: the newest counts, and there is an end."""

import os

from gnetway.testing import ClientExchange, Wish
from gnetway.tl.key_exchange import ReqPq
from gnetway.tl.primitives import Constructor
from tests.live.apps.android import DC, Phone, go_online, temporary_wish
from tests.live.apps.answers import kind_of
from tests.live.apps.gateways import AppCase
from tests.live.apps.keys import make_key, plain_answer
from tests.live.apps.wire import (
    TCP,
    WEBSOCKET,
    Ended,
    MessageIds,
    StreamLine,
    connect_stream,
    plain,
)

#: Beginnings in a row that one link may make.
MOST = 8


class BeginningTests(AppCase):
    def setUp(self) -> None:
        super().setUp()
        self.ids = MessageIds()

    def phone(self) -> Phone:
        return Phone(self.gateway.port, self.gateway.rsa)

    def dial(self, way: str = TCP) -> StreamLine:
        return connect_stream(self.gateway.port, way)

    def begin(self) -> tuple[bytes, bytes]:
        """Return a nonce and the packet that begins with it."""
        nonce = os.urandom(16)
        return nonce, plain(ReqPq(nonce, True).pack(), self.ids())

    def test_only_the_newest_of_a_segment_is_answered(self) -> None:
        for way in (TCP, WEBSOCKET):
            for number in (2, 3, MOST):
                with self.subTest(way=way, number=number), self.dial(way) as line:
                    begun = [self.begin() for _ in range(number)]
                    line.send(*(packet for _, packet in begun))
                    answer = plain_answer(line.packet()).body
                    self.assertEqual(kind_of(answer), Constructor.RES_PQ)
                    self.assertEqual(answer[4:20], begun[-1][0])

    def test_the_phone_gets_through(self) -> None:
        """On a link that is new, and on one that has talked under a key for a while."""
        phone = self.phone()
        with phone.dial() as line:
            phone.exchange_anew(line, Wish(dc=DC))
            self.assertEqual(phone.stale_answers, 0)
            make_key(line, self.gateway.rsa)
            phone.exchange_anew(line, temporary_wish())
            self.assertEqual(phone.stale_answers, 0)

    def test_a_beginning_cut_in_two(self) -> None:
        """What is not whole cannot push aside what is; the phone gets through all the same."""
        phone = self.phone()
        for kept in (1, 20, 40):
            with self.subTest(kept=kept), phone.dial() as line:
                phone.stale_answers = 0
                wish = Wish(dc=DC)
                runs = [ClientExchange([self.gateway.rsa], os.urandom, wish) for _ in range(2)]
                first, second = (line.wire(phone.plain(run.begin())) for run in runs)
                line.write(first + second[:kept])
                answer = plain_answer(line.packet())
                self.assertEqual(answer.body[4:20], runs[0].nonce)
                phone.stale_answers += 1
                newest = ClientExchange([self.gateway.rsa], os.urandom, wish)
                line.write(second[kept:] + line.wire(phone.plain(newest.begin())))
                phone.await_newest(line, wish, newest)
                self.assertEqual(phone.stale_answers, 1)

    def test_a_query_between_two_beginnings_is_not_passed_over(self) -> None:
        """The run that it belongs to goes on beside the new one."""
        run = ClientExchange([self.gateway.rsa], os.urandom, Wish(dc=DC))
        with self.dial() as line:
            line.send(plain(run.begin(), self.ids()))
            query = run.receive(plain_answer(line.packet()).body)
            assert query is not None
            nonce, packet = self.begin()
            line.send(plain(query, self.ids()), packet)
            answers = [plain_answer(line.packet()).body for _ in range(2)]
            kinds = {kind_of(answer) for answer in answers}
            self.assertEqual(kinds, {Constructor.SERVER_DH_PARAMS_OK, Constructor.RES_PQ})
            nonces = {answer[4:20] for answer in answers}
            self.assertEqual(nonces, {run.nonce, nonce})

    def test_too_many_in_a_row(self) -> None:
        """The ninth closes the link, and no code tells a client to throw anything away."""
        for way in (TCP, WEBSOCKET):
            with self.subTest(way=way), self.dial(way) as line:
                for _ in range(MOST):
                    nonce, packet = self.begin()
                    line.send(packet)
                    self.assertEqual(plain_answer(line.packet()).body[4:20], nonce)
                with self.assertRaises(Ended):
                    for _ in range(3):
                        line.send(self.begin()[1])
                    line.packet()

    def test_a_flood_in_one_segment(self) -> None:
        """It costs the gateway no more answers than a row may have."""
        answers = 0
        with self.dial() as line, self.assertRaises(Ended):
            for _ in range(50):
                line.send(*(self.begin()[1] for _ in range(40)))
                line.packet()
                answers += 1
        self.assertLessEqual(answers, MOST)

    def test_a_lone_beginning_is_a_ping(self) -> None:
        """Clients send one now and then on a link in use: with a key made between, no row grows."""
        with self.dial() as line:
            for _ in range(MOST + 2):
                nonce, packet = self.begin()
                line.send(packet)
                self.assertEqual(plain_answer(line.packet()).body[4:20], nonce)
                make_key(line, self.gateway.rsa)

    def test_the_whole_way_after_a_row(self) -> None:
        phone = self.phone()
        with phone.dial() as line:
            phone.make_perm_key(line)
            for _ in range(MOST - 1):
                line.send(self.begin()[1])
                line.packet()
            talk = phone.bind(line, *phone.exchange(line, temporary_wish()))
            go_online(talk)
