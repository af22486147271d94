"""The client's half of MTProto, sans-I/O, for tests and tools of your own.

:class:`ClientExchange` makes an auth key and believes nothing that the server says before it is
proved; :class:`ClientSession` encrypts and decrypts messages with it; :class:`ClientLink` puts
packets on the wire of a connection and takes them off. None of them knows sockets or the time.

    client = ClientExchange([ServerKey.from_pem(pem)], os.urandom)
    query = client.begin()
    while query is not None:
        query = client.receive(answer_of_the_server(query))
    session = ClientSession(client.key, client.salt, os.urandom)
    packet = session.encrypt(Ping(1).pack(), now)

A server that breaks the protocol gets a :class:`PeerError`. :class:`Bends` break the client's own
side at any step.
"""

from gnetway.testing.checks import KeyGivenUp, PeerError, ServerKeyUnknown
from gnetway.testing.exchange import (
    Bends,
    ClientExchange,
    Wish,
    factor,
    open_plain_packet,
    plain_packet,
)
from gnetway.testing.framings import Framing
from gnetway.testing.link import ClientLink, QuickAck, Style
from gnetway.testing.server_key import ServerKey
from gnetway.testing.session import ClientSession, ServerMessage

__all__ = [
    "Bends",
    "ClientExchange",
    "ClientLink",
    "ClientSession",
    "Framing",
    "KeyGivenUp",
    "PeerError",
    "QuickAck",
    "ServerKey",
    "ServerKeyUnknown",
    "ServerMessage",
    "Style",
    "Wish",
    "factor",
    "open_plain_packet",
    "plain_packet",
]
