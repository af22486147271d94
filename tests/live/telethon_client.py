"""Telethon against a gateway: its transports, and calls it has no class for."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from unittest.mock import patch

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR
from telethon import TelegramClient
from telethon.crypto import rsa
from telethon.network import (
    Connection,
    ConnectionTcpAbridged,
    ConnectionTcpFull,
    ConnectionTcpIntermediate,
    ConnectionTcpObfuscated,
)
from telethon.network.connection import tcpobfuscated
from telethon.network.connection.tcpintermediate import IntermediatePacketCodec
from telethon.sessions import MemorySession
from telethon.tl import TLRequest
from telethon.tl.core.messagecontainer import MessageContainer

from tests.live.gateway import Gateway


class ConnectionTcpObfuscatedIntermediate(ConnectionTcpObfuscated):  # type: ignore[misc]
    """Telethon's obfuscation around its intermediate framing."""

    packet_codec = IntermediatePacketCodec


#: By the names that the tests show.
TRANSPORTS: Final[dict[str, type[Connection]]] = {
    "abridged": ConnectionTcpAbridged,
    "full": ConnectionTcpFull,
    "intermediate": ConnectionTcpIntermediate,
    "obfuscated abridged": ConnectionTcpObfuscated,
    "obfuscated intermediate": ConnectionTcpObfuscatedIntermediate,
}


class RawRequest(TLRequest):  # type: ignore[misc]
    """A call as its bytes; the answer is whatever Telethon can read."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def _bytes(self) -> bytes:
        return self._body


def session_for(gateway: Gateway) -> MemorySession:
    """Return an empty session that leads to the gateway, whose key Telethon now knows."""
    rsa.add_key(gateway.public_key_file.read_text(), old=False)
    session = MemorySession()
    session.set_dc(2, "127.0.0.1", gateway.port)
    return session


#: Telethon takes a leading zero byte off the one key in 256 that has it, finds the hash wrong, and
#: makes another; by default it would try five times.
EXCHANGE_RETRIES: Final = 3


def make_client(
    session: MemorySession, transport: str = "full", connection_retries: int = EXCHANGE_RETRIES
) -> TelegramClient:
    return make_client_over(TRANSPORTS[transport], session, connection_retries)


def make_client_over(
    connection: type[Connection],
    session: MemorySession,
    connection_retries: int = EXCHANGE_RETRIES,
) -> TelegramClient:
    return TelegramClient(
        session,
        1,
        "0" * 32,
        connection=connection,
        timeout=10,
        connection_retries=connection_retries,
        retry_delay=1,
    )


class QuickCtr:
    """In the place of Telethon's AES-CTR in pure Python, which takes 4 s for 1 MiB."""

    def __init__(self, key: bytes, iv: bytes) -> None:
        self.encrypt = Cipher(AES(key), CTR(iv)).encryptor().update


@contextmanager
def large_messages() -> Iterator[None]:
    """Let Telethon send more than its own bound, some bytes below 1 MiB, and quickly."""
    with (
        patch.object(MessageContainer, "MAXIMUM_SIZE", 2 << 20),
        patch.object(tcpobfuscated, "AESModeCTR", QuickCtr),
    ):
        yield
