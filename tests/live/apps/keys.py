"""Key exchanges of the players; the checks are those of :class:`gnetway.testing.ClientExchange`."""

import os
from dataclasses import dataclass
from struct import unpack_from

from gnetway.crypto.rsa import RsaKey
from gnetway.testing import ClientExchange, Wish, open_plain_packet
from tests.live.apps.wire import AppSession, Line, MessageIds, plain


@dataclass(frozen=True)
class PlainAnswer:
    """An answer of the exchange, and its msg_id."""

    msg_id: int
    body: bytes


def plain_answer(packet: bytes) -> PlainAnswer:
    """Open an unencrypted answer."""
    return PlainAnswer(unpack_from("<q", packet, 8)[0], open_plain_packet(packet))


def session_of(exchange: ClientExchange) -> AppSession:
    """Return a new session with the key that was made."""
    assert exchange.key is not None
    return AppSession(exchange.key, exchange.salt, os.urandom)


def make_key(line: Line, rsa: RsaKey, wish: Wish | None = None) -> AppSession:
    """Make a key as most clients do: a query, an answer, nothing else."""
    ids = MessageIds()
    exchange = ClientExchange([rsa], os.urandom, wish or Wish(dc=2))
    query: bytes | None = exchange.begin()
    while query is not None:
        line.send(plain(query, ids()))
        query = exchange.receive(plain_answer(line.packet()).body)
    return session_of(exchange)
