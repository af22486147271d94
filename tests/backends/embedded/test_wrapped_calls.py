"""Calls in invokeWithLayer, initConnection and gzip_packed."""

from gzip import compress
from zlib import compress as zlib_compress

from gnetway.backends.embedded.calls import CallWanted, LayerNamed, SessionEvent
from gnetway.backends.embedded.key_state import MAX_LAYER
from gnetway.tl.primitives import (
    Constructor,
    pack_int32,
    pack_int64,
    pack_string,
    pack_uint32,
    pack_vector_int64,
)
from gnetway.tl.service_messages import Ping
from tests.backends.embedded.session_case import SessionCase
from tests.backends.embedded.talk import (
    UNKNOWN_CALL,
    errors,
    kinds,
    payload,
)

PING = Ping(-9).pack()


class WrapperTests(SessionCase):
    def setUp(self) -> None:
        super().setUp()
        self.greet()

    def call_of(self, body: bytes) -> CallWanted:
        self.send(self.talker.payload(body))
        events = [event for event in self.events() if isinstance(event, CallWanted)]
        [call] = events
        return call

    def test_bare_call(self) -> None:
        call = self.call_of(UNKNOWN_CALL)
        self.assertEqual(call, (self.talker.msg_id, UNKNOWN_CALL, 0xDEADBEEF, 0))

    def test_layer_is_remembered(self) -> None:
        self.assertEqual(self.in_layer(229), [LayerNamed(), self.call(229)])
        self.assertEqual(self.in_layer(229), [self.call(229)])
        self.assertEqual(self.call_of(UNKNOWN_CALL).layer, 0)
        self.assertEqual(self.session.calls.layer.number, 229)

    def in_layer(self, layer: int) -> list[SessionEvent]:
        """Return what a call that names this layer makes the session want."""
        self.ask(pack_uint32(Constructor.INVOKE_WITH_LAYER) + pack_int32(layer) + UNKNOWN_CALL)
        return self.events()

    def call(self, layer: int) -> CallWanted:
        return CallWanted(self.talker.msg_id, UNKNOWN_CALL, 0xDEADBEEF, layer)

    def test_any_number_may_be_named_but_not_kept(self) -> None:
        self.in_layer(152)
        wrapper = pack_uint32(Constructor.INVOKE_WITH_LAYER)
        for layer in (-1, -(2**31), MAX_LAYER + 1, 2**31 - 1):
            messages = self.ask(wrapper + pack_int32(layer) + UNKNOWN_CALL)
            refused = {self.talker.msg_id: (400, "CONNECTION_LAYER_INVALID")}
            self.assertEqual(errors(messages), refused, layer)
            pong = self.ask(wrapper + pack_int32(layer) + PING)
            self.assertEqual(kinds(pong)[-1:], [Constructor.PONG])
            self.assertEqual(self.events(), [])
            self.assertEqual(self.session.calls.layer.number, 152)
        self.assertEqual(self.in_layer(0), [self.call(0)])
        self.assertEqual(self.in_layer(MAX_LAYER), [LayerNamed(), self.call(MAX_LAYER)])

    def test_wrappers_in_any_order(self) -> None:
        init = pack_uint32(Constructor.INIT_CONNECTION) + pack_int32(0) + pack_int32(6)
        init += b"".join(pack_string(text) for text in (b"m", b"s", b"1", b"en", b"", b"en"))
        layer = pack_uint32(Constructor.INVOKE_WITH_LAYER) + pack_int32(200)
        quiet = pack_uint32(Constructor.INVOKE_WITHOUT_UPDATES)
        after = pack_uint32(Constructor.INVOKE_AFTER_MSG) + pack_int64(4)
        after_all = pack_uint32(Constructor.INVOKE_AFTER_MSGS) + pack_vector_int64([4, 8])
        for body in (
            layer + init + UNKNOWN_CALL,
            quiet + layer + init + after + UNKNOWN_CALL,
            after_all + quiet + UNKNOWN_CALL,
        ):
            self.assertEqual(self.call_of(body).body, UNKNOWN_CALL)
            for pack in (compress, zlib_compress):
                packed = pack_uint32(Constructor.GZIP_PACKED) + pack_string(pack(body))
                self.assertEqual(self.call_of(layer + packed).body, UNKNOWN_CALL)

    def test_service_message_in_a_wrapper(self) -> None:
        layered = pack_uint32(Constructor.INVOKE_WITH_LAYER) + pack_int32(229) + PING
        self.assertEqual(kinds(self.ask(layered)), [Constructor.PONG])

    def test_what_cannot_be_read_is_answered(self) -> None:
        layer = pack_uint32(Constructor.INVOKE_WITH_LAYER)
        bomb = pack_uint32(Constructor.GZIP_PACKED) + pack_string(compress(bytes(17 << 20)))
        no_gzip = pack_uint32(Constructor.GZIP_PACKED) + pack_string(b"no stream")
        nested = (layer + pack_int32(1)) * 50 + UNKNOWN_CALL
        for body in (b"", layer, no_gzip, bomb, nested, PING[:8]):
            messages = self.ask(body)
            self.assertEqual(errors(messages), {self.talker.msg_id: (400, "INPUT_FETCH_ERROR")})
            self.assertEqual(self.events(), [])

    def test_bombs_of_a_container_share_one_bound(self) -> None:
        """Each is within the bound, all together are not."""
        body = UNKNOWN_CALL + bytes(600 << 10)
        packed = pack_uint32(Constructor.GZIP_PACKED) + pack_string(compress(body))
        self.send(self.talker.contain(*[packed] * 5))
        self.assertEqual(len(self.events()), 3)
        self.assertEqual(len(errors(self.heard())), 2)

    def test_body_of_nothing_is_not_read_from_the_padding(self) -> None:
        msg_id, seq_no = self.talker.number()
        padding = pack_uint32(Constructor.DESTROY_AUTH_KEY) + bytes(12)
        self.send(payload(msg_id, seq_no, b"")[:16] + padding)
        self.assertEqual(self.events(), [])
        self.assertEqual(errors(self.heard()), {msg_id: (400, "INPUT_FETCH_ERROR")})
