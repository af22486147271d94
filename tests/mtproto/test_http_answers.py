"""Several messages in one."""

from hypothesis import given
from hypothesis.strategies import integers, lists
from twisted.trial.unittest import SynchronousTestCase

from gnetway.errors import MessageError
from gnetway.mtproto.http_answers import (
    MAX_CONTAINER_BYTES,
    MAX_CONTAINER_MESSAGES,
    MessageJoiner,
    is_blank,
)
from gnetway.mtproto.message import pack_message
from gnetway.testing import ServerMessage
from gnetway.tl.service_messages import (
    ContainedMessage,
    MsgsAck,
    Pong,
    RpcErrorObject,
    RpcResult,
    pack_container,
    parse_container,
)

NOW = 1_800_000_000.0
SESSION = 5
PONG = Pong(1, 2).pack()
ERROR = RpcResult(8, RpcErrorObject(400, "OOPS").pack()).pack()


def message(msg_id: int, seq_no: int = 0, body: bytes = PONG, salt: int = 3) -> bytes:
    return pack_message(salt, SESSION, msg_id, seq_no, body)


def read(plaintext: bytes) -> ServerMessage:
    numbers = [int.from_bytes(plaintext[n : n + 8], "little", signed=True) for n in (0, 8, 16)]
    seq_no = int.from_bytes(plaintext[24:28], "little")
    return ServerMessage(numbers[0], numbers[1], numbers[2], seq_no, plaintext[32:])


def inner_bodies(plaintext: bytes) -> list[bytes]:
    body = read(plaintext).body
    if not body.startswith(pack_container([])[:4]):
        return [body]
    return [contained.body for contained in parse_container(body, 1000)]


class JoinTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.joiner = MessageJoiner(SESSION, 99)

    def join(self, *plaintexts: bytes) -> tuple[ServerMessage, int]:
        for plaintext in plaintexts:
            self.joiner.note(plaintext)
        joined, taken = self.joiner.join(plaintexts, NOW)
        return read(joined), taken

    def test_nothing(self) -> None:
        joined, taken = self.join()
        self.assertEqual(
            (joined.salt, joined.session_id, joined.seq_no, taken), (99, SESSION, 0, 0)
        )
        self.assertEqual(parse_container(joined.body, 1), [])
        self.assertEqual((joined.msg_id >> 32, joined.msg_id & 3), (int(NOW), 3))

    def test_nothing_but_acknowledgements(self) -> None:
        self.joiner.note(message(int(NOW + 9) << 32, 5, salt=4))
        nothing = read(self.joiner.nothing((400, 404), NOW))
        self.assertEqual((nothing.body, nothing.seq_no), (MsgsAck([400, 404]).pack(), 6))
        self.assertEqual((nothing.msg_id >> 32, nothing.msg_id & 3), (int(NOW + 9), 3))
        self.assertEqual(parse_container(read(self.joiner.nothing((), NOW)).body, 1), [])

    def test_one_goes_as_it_is(self) -> None:
        plaintext = message(9)
        self.joiner.note(plaintext)
        self.assertEqual(self.joiner.join([plaintext], NOW), (plaintext, 1))

    def test_several(self) -> None:
        joined, taken = self.join(message(9, 1), message(13, 3, salt=4))
        self.assertEqual((joined.salt, joined.seq_no, taken), (4, 4, 2))
        self.assertEqual(
            parse_container(joined.body, 5),
            [ContainedMessage(9, 1, PONG), ContainedMessage(13, 3, PONG)],
        )

    def test_containers_are_opened(self) -> None:
        inner = [ContainedMessage(1, 0, PONG), ContainedMessage(5, 2, PONG)]
        joined, _ = self.join(message(9, 2, pack_container(inner)), message(13))
        self.assertEqual(parse_container(joined.body, 5), [*inner, ContainedMessage(13, 0, PONG)])

    def test_a_broken_container_goes_as_it_came(self) -> None:
        broken = pack_container([ContainedMessage(1, 0, PONG)])[:-4]
        joined, _ = self.join(message(9, 0, broken), message(13))
        self.assertEqual(parse_container(joined.body, 5)[0], ContainedMessage(9, 0, broken))

    def test_padding_of_the_backend_is_left_out(self) -> None:
        joined, _ = self.join(message(9) + bytes(12), message(13))
        self.assertEqual(parse_container(joined.body, 5)[0].body, PONG)

    def test_bounds(self) -> None:
        many = [message(number) for number in range(MAX_CONTAINER_MESSAGES + 5)]
        self.assertEqual(self.join(*many)[1], MAX_CONTAINER_MESSAGES)
        half = message(9, 0, bytes(MAX_CONTAINER_BYTES // 2))
        self.assertEqual(self.join(half, half, message(13))[1], 2)
        large = message(9, 0, bytes(MAX_CONTAINER_BYTES + 4))
        self.assertEqual(self.join(large, half), (read(large), 1))

    @given(lists(integers(0, 2**40), min_size=2, max_size=5))
    def test_the_container_is_numbered_above_all(self, offsets: list[int]) -> None:
        joiner = MessageJoiner(SESSION, 99)
        last = 0
        ids = [(int(NOW) << 32) + offset | 1 for offset in offsets]
        for msg_id in ids:
            joiner.note(message(msg_id))
        for _ in range(3):
            joined, _ = joiner.join([message(msg_id) for msg_id in ids], NOW)
            self.assertGreater(read(joined).msg_id, max(*ids, last))
            self.assertEqual(read(joined).msg_id & 3, 3)
            last = read(joined).msg_id

    def test_a_clock_that_was_set_back_is_followed(self) -> None:
        """Ours and the backend's; what has waited meanwhile is contained as it should be."""
        before, after = (int(NOW) << 32) + 1, (int(NOW - 3600) << 32) + 1
        for msg_id in (before, after):
            self.joiner.note(message(msg_id))
        ids = []
        for contained in ([before, after], [before, before], [after, after + 4], [after, after]):
            joined, _ = self.joiner.join([message(one) for one in contained], NOW - 3600)
            self.assertGreater(read(joined).msg_id, max(contained))
            ids.append(read(joined).msg_id)
        self.assertEqual(len(set(ids)), 4)
        self.assertEqual([msg_id >> 32 for msg_id in ids[2:]], [int(NOW - 3600)] * 2)
        empty = read(self.joiner.nothing((), NOW - 3600))
        self.assertGreater(empty.msg_id, ids[-1])
        self.assertEqual(empty.msg_id >> 32, int(NOW - 3600))

    def test_what_is_no_message_of_the_session(self) -> None:
        for plaintext in (
            b"",
            message(9)[:31],
            message(9)[:-1],
            pack_message(3, SESSION + 1, 9, 0, PONG),
            message(9)[:28] + b"\xff\xff\xff\xff" + PONG,
        ):
            with self.subTest(plaintext=plaintext.hex()):
                self.assertRaises(MessageError, self.joiner.note, plaintext)


class ErrorTests(SynchronousTestCase):
    """Some clients leave a container at its first error."""

    def setUp(self) -> None:
        self.joiner = MessageJoiner(SESSION, 99)

    def cut(self, plaintext: bytes) -> list[bytes]:
        self.joiner.note(plaintext)
        return self.joiner.cut(plaintext, NOW)

    def test_an_error_ends_a_container(self) -> None:
        queue = [
            part
            for number, body in enumerate((PONG, ERROR, PONG, PONG, ERROR, ERROR, PONG))
            for part in self.cut(message(4 * number + 1, 0, body))
        ]
        bodies = []
        while queue:
            joined, taken = self.joiner.join(queue, NOW)
            bodies.append(inner_bodies(joined))
            del queue[:taken]
        self.assertEqual(bodies, [[PONG, ERROR], [PONG, PONG, ERROR], [ERROR], [PONG]])

    def test_a_container_of_the_backend_is_cut_behind_each(self) -> None:
        inner = [
            ContainedMessage(4 * number + 1, 2 * number + 1, body)
            for number, body in enumerate((PONG, ERROR, ERROR, PONG, PONG))
        ]
        parts = self.cut(message(101, 8, pack_container(inner)))
        contained = [parse_container(read(part).body, 5) for part in parts]
        self.assertEqual(contained, [inner[:2], inner[2:3], inner[3:]])
        ids = [read(part).msg_id for part in parts]
        self.assertEqual(ids, sorted({101, *ids} - {101}))
        self.assertGreater(ids[0], 101)
        self.assertEqual([(read(part).seq_no, read(part).salt) for part in parts], [(8, 3)] * 3)

    def test_what_has_an_error_last_stays_as_it_is(self) -> None:
        sound = [ContainedMessage(1, 1, PONG), ContainedMessage(5, 3, ERROR)]
        broken = pack_container(sound[::-1])[:-4]
        for plaintext in (
            message(9, 1, ERROR),
            message(9, 4, pack_container(sound)),
            message(9, 0, broken),
        ):
            self.assertEqual(self.cut(plaintext), [plaintext])

    def test_a_container_with_an_error_last_ends_the_one_around_it(self) -> None:
        sound = pack_container([ContainedMessage(1, 1, PONG), ContainedMessage(5, 3, ERROR)])
        joined, taken = self.joiner.join([message(9, 4, sound), message(13)], NOW)
        self.assertEqual((inner_bodies(joined), taken), ([PONG, ERROR], 1))


class BlankTests(SynchronousTestCase):
    def test_blank(self) -> None:
        self.assertTrue(is_blank(b""))
        self.assertTrue(is_blank(message(9, 0, pack_container([]))))
        self.assertTrue(is_blank(message(9, 0, pack_container([])) + bytes(12)))

    def test_not_blank(self) -> None:
        self.assertFalse(is_blank(message(9)))
        full = pack_container([ContainedMessage(1, 0, PONG)])
        self.assertFalse(is_blank(message(9, 0, full)))
