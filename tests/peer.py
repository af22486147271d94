"""The client's half of MTProto, which is public: see ``gnetway.testing``."""

from gnetway.testing import (
    Bends,
    ClientExchange,
    ClientSession,
    KeyGivenUp,
    PeerError,
    ServerMessage,
    Wish,
    factor,
    open_plain_packet,
    plain_packet,
)

__all__ = [
    "Bends",
    "ClientExchange",
    "ClientSession",
    "KeyGivenUp",
    "PeerError",
    "ServerMessage",
    "Wish",
    "factor",
    "open_plain_packet",
    "plain_packet",
]
