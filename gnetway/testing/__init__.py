"""The client's half of MTProto, and fakes of the gateway's seams: for tests and tools of your own.

Public, and what the gateway's own tests and ``gnetway ping`` are made of. The client's half knows
neither sockets nor the time nor chance, which are arguments:

    client = ClientExchange([ServerKey.from_pem(pem)], os.urandom)
    query = client.begin()
    while query is not None:
        query = client.receive(answer_of_the_server(query))
    session = ClientSession(client.key, client.salt, os.urandom)
    packet = session.encrypt(Ping(1).pack(), now)

Making a key
    :class:`ClientExchange` believes nothing that the server says before it is proved. It has the
    server's :class:`ServerKey`, and a :class:`Wish` says what kind of key is to be made.
    :class:`Bends` break the client's own side at any step. :func:`plain_packet` and
    :func:`open_plain_packet` are the envelope of these messages, :func:`factor` is the work that a
    server asks for.

Messages
    :class:`ClientSession` encrypts and decrypts with a key, good messages and bad ones, and checks
    each :class:`ServerMessage` as the security guidelines demand.

The wire
    :class:`ClientLink` puts packets on a connection and takes them off, and each
    :class:`QuickAck`, in the :class:`Framing` that its :class:`Style` names, obfuscated or not.
    :class:`WebSocketEnd` carries those bytes over a WebSocket; :class:`HttpLink` has packets in
    HTTP in its place.

A whole client
    :class:`ClientTalk` does all of this over a blocking socket, or what stands for one. It raises
    :class:`LinkEnded` and :class:`TransportErrorReceived` where the server does not go on.
    ``gnetway.testing.dial``, apart from the others since it opens sockets: ``Trial``, which
    connects in TLS and behind a PROXY header too, and says what is wrong.

Errors
    :class:`PeerError` for a server that breaks the protocol, :class:`ServerKeyUnknown` where none
    of its keys is known, :class:`KeyGivenUp` after dh_gen_fail.

Fakes
    ``gnetway.testing.fakes``, apart from the others since they need Twisted: ``FakeBackend``,
    ``FakeKeys``, ``FakeTarget`` for ISessionBackend, IKeyLookup, IPushTarget.
"""

from gnetway.testing.checks import KeyGivenUp, PeerError, ServerKeyUnknown
from gnetway.testing.exchange import (
    Bends,
    ClientExchange,
    ServerKey,
    Wish,
    factor,
    open_plain_packet,
    plain_packet,
)
from gnetway.testing.http import HttpLink
from gnetway.testing.link import ClientLink, Framing, QuickAck, Style
from gnetway.testing.session import ClientSession, ServerMessage
from gnetway.testing.talk import ClientTalk, LinkEnded, TransportErrorReceived
from gnetway.testing.websocket import WebSocketEnd

__all__ = [
    "Bends",
    "ClientExchange",
    "ClientLink",
    "ClientSession",
    "ClientTalk",
    "Framing",
    "HttpLink",
    "KeyGivenUp",
    "LinkEnded",
    "PeerError",
    "QuickAck",
    "ServerKey",
    "ServerKeyUnknown",
    "ServerMessage",
    "Style",
    "TransportErrorReceived",
    "WebSocketEnd",
    "Wish",
    "factor",
    "open_plain_packet",
    "plain_packet",
]
