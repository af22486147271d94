"""The messages of the key exchange against the bytes of two other implementations."""

from collections.abc import Callable
from typing import Final, Protocol

from hypothesis import given
from hypothesis.strategies import (
    SearchStrategy,
    binary,
    booleans,
    builds,
    none,
    one_of,
    sampled_from,
)
from twisted.trial.unittest import SynchronousTestCase

from gnetway.errors import TLError
from gnetway.tl.key_exchange import (
    ClientDHInnerData,
    DHGenFail,
    DHGenOk,
    DHGenRetry,
    PQInnerData,
    ReqDHParams,
    ReqPq,
    ResPQ,
    ServerDHInnerData,
    ServerDHParamsOk,
    SetClientDHParams,
    parse_answer,
    parse_client_dh_inner_data,
    parse_pq_inner_data,
    parse_request,
    parse_server_dh_inner_data,
)
from gnetway.tl.primitives import Constructor, pack_uint32
from tests.tl.samples import (
    DH_PRIME,
    ENCRYPTED,
    G_A,
    HASH,
    NEW_NONCE,
    NONCE,
    PQ,
    SERVER_NONCE,
    P,
    Q,
    accepted_cuts,
    id_lists,
    int32s,
    int64s,
    known,
    nonces,
    refuses,
    strings,
)

FINGERPRINTS: Final = [847625836280919973, -5859577972006586033]


class Packs(Protocol):
    def pack(self) -> bytes: ...


REQUESTS: list[tuple[str, Packs]] = [
    ("req_pq", ReqPq(NONCE, multi=False)),
    ("req_pq_multi", ReqPq(NONCE, multi=True)),
    ("req_DH_params", ReqDHParams(NONCE, SERVER_NONCE, P, Q, FINGERPRINTS[1], ENCRYPTED)),
    ("set_client_DH_params", SetClientDHParams(NONCE, SERVER_NONCE, ENCRYPTED + G_A[:80])),
]
ANSWERS: list[tuple[str, Packs]] = [
    ("resPQ", ResPQ(NONCE, SERVER_NONCE, PQ, FINGERPRINTS)),
    ("server_DH_params_ok", ServerDHParamsOk(NONCE, SERVER_NONCE, ENCRYPTED + G_A[:80])),
    ("dh_gen_ok", DHGenOk(NONCE, SERVER_NONCE, HASH)),
    ("dh_gen_retry", DHGenRetry(NONCE, SERVER_NONCE, HASH)),
    ("dh_gen_fail", DHGenFail(NONCE, SERVER_NONCE, HASH)),
]


def pq_inner(dc: int | None, expires_in: int | None) -> PQInnerData:
    return PQInnerData(PQ, P, Q, NONCE, SERVER_NONCE, NEW_NONCE, dc, expires_in)


PQ_INNER: list[tuple[str, PQInnerData]] = [
    ("p_q_inner_data", pq_inner(None, None)),
    ("p_q_inner_data_dc", pq_inner(-2, None)),
    ("p_q_inner_data_temp", pq_inner(None, 86400)),
    ("p_q_inner_data_temp_dc", pq_inner(10002, 86400)),
]
SERVER_INNER: Final = ServerDHInnerData(NONCE, SERVER_NONCE, 3, DH_PRIME, G_A, 1794000000)
CLIENT_INNER: Final = ClientDHInnerData(NONCE, SERVER_NONCE, -77, G_A)

PARSERS: list[Callable[[bytes], object]] = [
    parse_request,
    parse_answer,
    parse_pq_inner_data,
    parse_server_dh_inner_data,
    parse_client_dh_inner_data,
]


def requests() -> SearchStrategy[Packs]:
    nonce = nonces()
    return one_of(
        builds(ReqPq, nonce, booleans()),
        builds(ReqDHParams, nonce, nonce, strings(), strings(), int64s(), strings()),
        builds(SetClientDHParams, nonce, nonce, strings()),
    )


def answers() -> SearchStrategy[Packs]:
    nonce = nonces()
    return one_of(
        builds(ResPQ, nonce, nonce, strings(), id_lists()),
        builds(ServerDHParamsOk, nonce, nonce, strings()),
        *(builds(kind, nonce, nonce, nonce) for kind in (DHGenOk, DHGenRetry, DHGenFail)),
    )


def pq_inners() -> SearchStrategy[PQInnerData]:
    maybe = one_of(none(), int32s())
    numbers = (strings(), strings(), strings())
    return builds(PQInnerData, *numbers, nonces(), nonces(), nonces(32), maybe, maybe)


class KnownAnswerTests(SynchronousTestCase):
    def test_requests(self) -> None:
        """Both ways between record and bytes."""
        for name, record in REQUESTS:
            self.assertEqual(record.pack(), known(name), name)
            self.assertEqual(parse_request(known(name)), record)

    def test_answers(self) -> None:
        """Both ways, and never one kind for another of the same shape."""
        for name, record in ANSWERS:
            self.assertEqual(record.pack(), known(name), name)
            parsed = parse_answer(known(name))
            self.assertEqual(parsed, record)
            self.assertIs(type(parsed), type(record))

    def test_pq_inner_data(self) -> None:
        """The kind follows from dc and expires_in; where it has none they come back as None."""
        for name, record in PQ_INNER:
            self.assertEqual(record.pack(), known(name), name)
            self.assertEqual(parse_pq_inner_data(known(name)), (record, len(known(name))))

    def test_dh_inner_data(self) -> None:
        """Both halves."""
        data = known("server_DH_inner_data")
        self.assertEqual(SERVER_INNER.pack(), data)
        self.assertEqual(parse_server_dh_inner_data(data), (SERVER_INNER, len(data)))
        data = known("client_DH_inner_data")
        self.assertEqual(CLIENT_INNER.pack(), data)
        self.assertEqual(parse_client_dh_inner_data(data), (CLIENT_INNER, len(data)))


class RoundTripTests(SynchronousTestCase):
    @given(record=requests(), tail=binary(max_size=252))
    def test_request(self, record: Packs, tail: bytes) -> None:
        """Bytes after a request are ignored, none may be missing."""
        packed = record.pack()
        self.assertEqual(parse_request(packed + tail), record)
        self.assertEqual(accepted_cuts(parse_request, packed), [])

    @given(record=answers(), tail=binary(max_size=20))
    def test_answer(self, record: Packs, tail: bytes) -> None:
        """The same holds for answers."""
        packed = record.pack()
        self.assertEqual(parse_answer(packed + tail), record)
        self.assertEqual(accepted_cuts(parse_answer, packed), [])

    @given(record=pq_inners(), tail=binary(max_size=20))
    def test_pq_inner_data(self, record: PQInnerData, tail: bytes) -> None:
        """What follows is not counted: the random filling begins there."""
        packed = record.pack()
        self.assertEqual(parse_pq_inner_data(packed + tail), (record, len(packed)))
        self.assertEqual(accepted_cuts(parse_pq_inner_data, packed), [])

    @given(
        record=builds(
            ServerDHInnerData, nonces(), nonces(), int32s(), strings(), strings(), int32s()
        ),
        tail=binary(max_size=20),
    )
    def test_server_dh_inner_data(self, record: ServerDHInnerData, tail: bytes) -> None:
        """Its hash is made of exactly the counted bytes."""
        packed = record.pack()
        self.assertEqual(parse_server_dh_inner_data(packed + tail), (record, len(packed)))
        self.assertEqual(accepted_cuts(parse_server_dh_inner_data, packed), [])

    @given(
        record=builds(ClientDHInnerData, nonces(), nonces(), int64s(), strings()),
        tail=binary(max_size=20),
    )
    def test_client_dh_inner_data(self, record: ClientDHInnerData, tail: bytes) -> None:
        """Its hash is made of exactly the counted bytes."""
        packed = record.pack()
        self.assertEqual(parse_client_dh_inner_data(packed + tail), (record, len(packed)))
        self.assertEqual(accepted_cuts(parse_client_dh_inner_data, packed), [])


class RefusalTests(SynchronousTestCase):
    def test_other_constructors(self) -> None:
        """Each parser takes its own kinds alone: a request is no answer."""
        kinds = [*REQUESTS, *ANSWERS, *PQ_INNER]
        kinds += [("server_DH_inner_data", SERVER_INNER), ("client_DH_inner_data", CLIENT_INNER)]
        accepted = {
            parse.__name__: [name for name, record in kinds if not refuses(parse, record.pack())]
            for parse in PARSERS
        }
        self.assertEqual(
            accepted,
            {
                "parse_request": [name for name, _ in REQUESTS],
                "parse_answer": [name for name, _ in ANSWERS],
                "parse_pq_inner_data": [name for name, _ in PQ_INNER],
                "parse_server_dh_inner_data": ["server_DH_inner_data"],
                "parse_client_dh_inner_data": ["client_DH_inner_data"],
            },
        )

    def test_unknown_constructor_is_named(self) -> None:
        """The error helps to find a client that speaks something else."""
        error = self.assertRaises(TLError, parse_request, pack_uint32(0xABCDEF) + bytes(60))
        self.assertEqual(str(error), "constructor 0x00abcdef is no request of the key exchange")

    @given(
        parse=sampled_from(PARSERS),
        kind=one_of(sampled_from(list(Constructor)).map(pack_uint32), binary(max_size=4)),
        rest=binary(max_size=300),
    )
    def test_only_tl_error(
        self, parse: Callable[[bytes], object], kind: bytes, rest: bytes
    ) -> None:
        """Whatever comes: a record, which has a nonce at least, or TLError."""
        if not refuses(parse, kind + rest):
            self.assertGreaterEqual(len(kind + rest), 20)


class SecrecyTests(SynchronousTestCase):
    """A repr may end up in a log."""

    def test_new_nonce_is_not_shown(self) -> None:
        """The keys of the exchange follow from it."""
        for _, record in PQ_INNER:
            self.assertNotIn(repr(NEW_NONCE), repr(record))
            self.assertIn(repr(NONCE), repr(record))

    def test_halves_are_not_shown(self) -> None:
        """They go encrypted."""
        for record in (CLIENT_INNER, SERVER_INNER):
            self.assertNotIn(repr(G_A), repr(record))
            self.assertIn(repr(NONCE), repr(record))
