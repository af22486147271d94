"""Attacks by what an encrypted packet says: anybody makes a key, which costs no login."""

import os
from functools import cache
from struct import pack
from typing import Final

from benchmarks.hostile.handler import produce
from benchmarks.hostile.target import (
    Client,
    Target,
    container,
    gzipped,
    gzipped_zeros,
    known_client,
    same_key,
)
from gnetway.testing import ClientSession, Wish
from gnetway.tl.key_exchange import BindTempAuthKey
from gnetway.tl.primitives import MAX_IDS, Constructor, pack_string, pack_uint32
from gnetway.tl.service_messages import GetFutureSalts, MsgResendReq, MsgsStateReq
from tests.live.client import now

#: Of a temporary key.
_DAY_SECONDS: Final = 86_400

#: What all gzip_packed of a packet could once unpack to; by MaxUnpackedBytes it is refused now, so
#: what a packet within today's bounds costs tests/backends/embedded/test_worst_packets.py measures.
_UNPACKED_BYTES: Final = 16 << 20

#: Lists of MAX_IDS that fit into it.
_LISTS: Final = 255


def _play(client: Client, session: ClientSession, body: bytes) -> None:
    """Send one packet, and wait until the gateway is done with it."""
    client.send([session.encrypt(body, now(), content_related=False)])
    client.ping(session)


def resend_bomb(target: Target) -> None:
    """Let the gateway keep an answer, and ask for it again two million times."""
    client = Client(target)
    session = client.make_key()
    client.send([session.encrypt(produce(224), now())])
    kept = client.await_message(session, Constructor.RPC_RESULT).msg_id
    wishes = [MsgResendReq([kept] * MAX_IDS).pack()] * _LISTS
    _play(client, session, gzipped(container(session, wishes)))


def state_request(target: Target) -> None:
    """Ask for the state of two million messages."""
    client = Client(target)
    session = client.make_key()
    questions = [MsgsStateReq([session.msg_id] * MAX_IDS).pack()] * _LISTS
    _play(client, session, gzipped(container(session, questions)))


def future_salts(target: Target) -> None:
    """Ask for salts as often as a container holds messages."""
    client = Client(target)
    session = client.make_key()
    questions = [GetFutureSalts(64).pack()] * 1000
    _play(client, session, gzipped(container(session, questions)))


def json_bomb(target: Target) -> None:
    """Call with an unbound temporary key and parameters of four million JSON nulls."""
    client = Client(target)
    session = client.make_key(Wish(expires_in=_DAY_SECONDS))
    array = pack("<II", Constructor.JSON_ARRAY, Constructor.VECTOR)
    row = array + pack("<I", 8000) + pack_uint32(Constructor.JSON_NULL) * 8000
    rows = _UNPACKED_BYTES // len(row) - 1
    head = pack("<IIi", Constructor.INIT_CONNECTION, 2, 1) + pack_string(b"") * 6
    params = array + pack("<I", rows) + row * rows
    _play(client, session, gzipped(head + params + pack_uint32(Constructor.HELP_GET_CONFIG)))


def gzip_zeros(target: Target) -> None:
    """Send as many zeros as a packet may unpack to."""
    client = Client(target)
    session = client.make_key()
    packed = pack_string(gzipped_zeros(_UNPACKED_BYTES))
    body = pack_uint32(Constructor.GZIP_PACKED) + packed
    for _ in range(20):
        _play(client, session, body)


@cache
def _bombs() -> list[bytes]:
    gzip = pack_uint32(Constructor.GZIP_PACKED)
    made = [gzip + pack_string(gzipped_zeros(mib << 20)) for mib in (128, 512)]
    return [*made, gzipped(gzipped(gzip + pack_string(gzipped_zeros(_UNPACKED_BYTES))))]


def gzip_bombs(target: Target) -> None:
    """On ten links: 128 and 512 MiB of zeros, and a bomb inside of a bomb."""
    session = Client(target).make_key()
    links = [(known_client(target, one), one) for one in [same_key(session) for _ in range(10)]]
    while not target.over:
        for bomb in _bombs():
            for client, one in links:
                client.send([one.encrypt(bomb, now())])
        for client, one in links:
            client.ping(one)


def bad_binds(target: Target) -> None:
    """Bind a temporary key by a proof of one block, a thousand times."""
    perm = Client(target).make_key().key
    client = Client(target)
    session = client.make_key(Wish(expires_in=_DAY_SECONDS))
    for _ in range(1000):
        proof = perm.id_bytes + os.urandom(16 + 16)
        expires_at = int(now()) + _DAY_SECONDS
        bind = BindTempAuthKey(perm.auth_key_id, session.next_msg_id(now()), expires_at, proof)
        client.send([session.encrypt(bind.pack(), now())])
    client.await_message(session, Constructor.RPC_RESULT)
    target.drain(client.socket, 1.0)
