"""Every service message against known bytes, cut short, and mistaken for another."""

from collections.abc import Callable
from typing import Protocol

from hypothesis import given
from hypothesis.strategies import SearchStrategy, binary, builds, sampled_from, text
from twisted.trial.unittest import SynchronousTestCase

from gnetway.tl import service_messages
from gnetway.tl.key_exchange import BindAuthKeyInner, BindTempAuthKey
from gnetway.tl.primitives import Constructor, Record, pack_uint32
from gnetway.tl.service_messages import (
    BadMsgNotification,
    BadServerSalt,
    DestroySession,
    DestroySessionNone,
    DestroySessionOk,
    FutureSalts,
    GetFutureSalts,
    HttpWait,
    MsgDetailedInfo,
    MsgNewDetailedInfo,
    MsgResendReq,
    MsgsAck,
    MsgsAllInfo,
    MsgsStateInfo,
    MsgsStateReq,
    NewSessionCreated,
    Ping,
    PingDelayDisconnect,
    Pong,
    RpcAnswerDropped,
    RpcDropAnswer,
    RpcErrorObject,
    RpcResult,
)
from tests.tl.samples import (
    ENCRYPTED,
    MSG_ID,
    accepted_cuts,
    id_lists,
    int32s,
    int64s,
    known,
    refuses,
    strings,
)


class Boxed(Protocol):
    def pack(self) -> bytes: ...

    @classmethod
    def parse(cls, body: bytes) -> "Boxed": ...


SALT = -8229913535756442661

KNOWN: list[tuple[str, Boxed]] = [
    ("ping", Ping(-3)),
    ("ping_delay_disconnect", PingDelayDisconnect(5, 75)),
    ("pong", Pong(MSG_ID, -3)),
    ("new_session_created", NewSessionCreated(MSG_ID, -9, SALT)),
    ("http_wait", HttpWait(0, 50, 25000)),
    ("destroy_session", DestroySession(-11)),
    ("destroy_session_ok", DestroySessionOk(-11)),
    ("destroy_session_none", DestroySessionNone(-11)),
    ("get_future_salts", GetFutureSalts(64)),
    ("future_salts", FutureSalts(MSG_ID, 1794000000, [(1, 2, -3), (4, 5, 6)])),
    ("bad_server_salt", BadServerSalt(MSG_ID, 7, 48, SALT)),
    ("bad_msg_notification", BadMsgNotification(MSG_ID, 7, 16)),
    ("auth.bindTempAuthKey", BindTempAuthKey(-13, 17, 1794086400, ENCRYPTED[:104])),
    ("bind_auth_key_inner", BindAuthKeyInner(17, 19, -13, -23, 1794086400)),
    ("msgs_ack", MsgsAck([MSG_ID, -2])),
    ("msgs_state_req", MsgsStateReq([MSG_ID, -2])),
    ("msg_resend_req", MsgResendReq([MSG_ID, -2])),
    ("msgs_state_info", MsgsStateInfo(MSG_ID, b"\x04\x01")),
    ("msgs_all_info", MsgsAllInfo([MSG_ID, -2], b"\x04\x01")),
    ("msg_detailed_info", MsgDetailedInfo(MSG_ID, -2, 1000, 4)),
    ("msg_new_detailed_info", MsgNewDetailedInfo(-2, 1000, 4)),
    ("rpc_error", RpcErrorObject(401, "AUTH_KEY_UNREGISTERED")),
    ("rpc_result", RpcResult(MSG_ID, RpcErrorObject(401, "AUTH_KEY_UNREGISTERED").pack())),
    ("rpc_drop_answer", RpcDropAnswer(MSG_ID)),
    ("rpc_answer_dropped", RpcAnswerDropped(MSG_ID, 7, 1000)),
]

#: Objects that are nothing but their constructor id.
EMPTY: list[tuple[str, Constructor]] = [
    ("rpc_answer_unknown", Constructor.RPC_ANSWER_UNKNOWN),
    ("rpc_answer_dropped_running", Constructor.RPC_ANSWER_DROPPED_RUNNING),
    ("destroy_auth_key", Constructor.DESTROY_AUTH_KEY),
    ("destroy_auth_key_ok", Constructor.DESTROY_AUTH_KEY_OK),
    ("destroy_auth_key_none", Constructor.DESTROY_AUTH_KEY_NONE),
    ("destroy_auth_key_fail", Constructor.DESTROY_AUTH_KEY_FAIL),
    ("help.getConfig", Constructor.HELP_GET_CONFIG),
    ("help.getNearestDc", Constructor.HELP_GET_NEAREST_DC),
]

PARSERS: list[Callable[[bytes], object]] = [type(record).parse for _, record in KNOWN]

_LONG, _INT = int64s(), int32s()
RECORDS: list[SearchStrategy[Boxed]] = [
    builds(Ping, _LONG),
    builds(PingDelayDisconnect, _LONG, _INT),
    builds(Pong, _LONG, _LONG),
    builds(NewSessionCreated, _LONG, _LONG, _LONG),
    builds(HttpWait, _INT, _INT, _INT),
    builds(DestroySession, _LONG),
    builds(DestroySessionOk, _LONG),
    builds(DestroySessionNone, _LONG),
    builds(GetFutureSalts, _INT),
    builds(BadServerSalt, _LONG, _INT, _INT, _LONG),
    builds(BadMsgNotification, _LONG, _INT, _INT),
    builds(BindTempAuthKey, _LONG, _LONG, _INT, strings()),
    builds(BindAuthKeyInner, _LONG, _LONG, _LONG, _LONG, _INT),
    builds(MsgsAck, id_lists()),
    builds(MsgsStateReq, id_lists()),
    builds(MsgResendReq, id_lists()),
    builds(MsgsStateInfo, _LONG, strings()),
    builds(MsgsAllInfo, id_lists(), strings()),
    builds(MsgDetailedInfo, _LONG, _LONG, _INT, _INT),
    builds(MsgNewDetailedInfo, _LONG, _INT, _INT),
    builds(RpcErrorObject, _INT, text(max_size=100)),
    builds(RpcDropAnswer, _LONG),
    builds(RpcAnswerDropped, _LONG, _INT, _INT),
]


def records() -> SearchStrategy[Boxed]:
    return sampled_from(RECORDS).flatmap(lambda strategy: strategy)


class ServiceMessageTests(SynchronousTestCase):
    def test_known_bytes(self) -> None:
        """Both ways between record and bytes."""
        for name, record in KNOWN:
            self.assertEqual(record.pack(), known(name), name)
            parsed = type(record).parse(known(name))
            self.assertEqual(parsed, record)
            self.assertIs(type(parsed), type(record))

    def test_objects_without_fields(self) -> None:
        """Their constructor id is all of them."""
        for name, constructor in EMPTY:
            self.assertEqual(pack_uint32(constructor), known(name), name)

    def test_known_bytes_cut_short(self) -> None:
        """No part is taken for the whole; only a result has no end of its own."""
        for name, record in KNOWN:
            cuts = accepted_cuts(type(record).parse, known(name))
            size = len(known(name))
            self.assertEqual(cuts, list(range(12, size)) if name == "rpc_result" else [], name)

    def test_taken_for_another(self) -> None:
        """Each kind is read by its own parser alone."""
        for name, _ in KNOWN:
            readers = [
                other for other, record in KNOWN if not refuses(type(record).parse, known(name))
            ]
            self.assertEqual(readers, [name])

    @given(record=records(), tail=binary(max_size=12))
    def test_round_trip(self, record: Boxed, tail: bytes) -> None:
        """Every value of every field comes back; bytes that follow are ignored."""
        packed = record.pack()
        self.assertEqual(type(record).parse(packed + tail), record)
        self.assertEqual(accepted_cuts(type(record).parse, packed), [])

    @given(index=sampled_from(range(len(KNOWN))), rest=binary(max_size=120))
    def test_only_tl_error(self, index: int, rest: bytes) -> None:
        """Behind the right constructor anything may come."""
        name, record = KNOWN[index]
        data = known(name)[:4] + rest
        if not refuses(type(record).parse, data):
            self.assertGreaterEqual(len(data), 8)

    def test_all_are_named(self) -> None:
        """Every record of the module is tested here."""
        made = {
            name
            for name, kind in vars(service_messages).items()
            if hasattr(kind, "parse") and kind is not Record
        }
        binds = {"BindTempAuthKey", "BindAuthKeyInner"}
        self.assertEqual(made | binds, {type(record).__name__ for _, record in KNOWN})


class SecrecyTests(SynchronousTestCase):
    def test_neither_salts_nor_payloads_are_shown(self) -> None:
        """A repr may end up in a log."""
        shown = [
            repr(NewSessionCreated(1, 2, SALT)),
            repr(BadServerSalt(1, 2, 48, SALT)),
            repr(FutureSalts(1, 2, [(3, 4, SALT)])),
            repr(RpcResult(1, b"payload")),
            repr(BindTempAuthKey(1, SALT, 3, b"payload")),
            repr(BindAuthKeyInner(SALT, 1, 2, 3, 4)).partition(", temp_session_id")[0],
        ]
        for line in shown:
            self.assertNotIn(str(SALT), line)
            self.assertNotIn("payload", line)
        self.assertEqual(
            shown,
            [
                "NewSessionCreated(first_msg_id=1, unique_id=2)",
                "BadServerSalt(bad_msg_id=1, bad_msg_seqno=2, error_code=48)",
                "FutureSalts(req_msg_id=1, now=2)",
                "<RpcResult for 1, 7 bytes>",
                "BindTempAuthKey(perm_auth_key_id=1, expires_at=3)",
                "BindAuthKeyInner(temp_auth_key_id=1, perm_auth_key_id=2",
            ],
        )
