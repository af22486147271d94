"""Kurigram against a gateway: its transports, and calls it has no class for."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from unittest.mock import patch

import cryptg
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR
from pyrogram import Client
from pyrogram.connection import Connection
from pyrogram.connection.transport import (
    TCP,
    TCPAbridged,
    TCPAbridgedO,
    TCPFull,
    TCPIntermediate,
    TCPIntermediateO,
    TCPIntermediatePadded,
)
from pyrogram.crypto import aes, rsa
from pyrogram.raw.core import TLObject
from pyrogram.raw.types.upload.cdn_file import CdnFile

from tests.live.gateway import Gateway

#: By the names that the tests show.
TRANSPORTS: Final[dict[str, type[TCP]]] = {
    "abridged": TCPAbridged,
    "intermediate": TCPIntermediate,
    "padded": TCPIntermediatePadded,
    "full": TCPFull,
    "obfuscated abridged": TCPAbridgedO,
    "obfuscated intermediate": TCPIntermediateO,
}


class RawRequest(TLObject[CdnFile]):
    """A call as its bytes, answered by upload.cdnFile."""

    __slots__ = ("body",)

    QUALNAME = "functions.RawRequest"

    def __init__(self, body: bytes) -> None:
        self.body = body

    def write(self, *_: object) -> bytes:
        return self.body


def make_client(gateway: Gateway, transport: str) -> Client:
    """Return a client that goes to the gateway wherever it means to go; wants a running loop."""
    rsa.server_public_keys[gateway.rsa.fingerprint] = rsa.PublicKey(
        gateway.rsa.modulus, gateway.rsa.exponent
    )

    class ToGateway(Connection):
        async def connect(self) -> None:
            self.server_address, self.port = "127.0.0.1", gateway.port
            await super().connect()

    return Client(
        "live",
        api_id=1,
        api_hash="0" * 32,
        in_memory=True,
        no_updates=True,
        connection_factory=ToGateway,
        protocol_factory=TRANSPORTS[transport],
        loop=asyncio.get_running_loop(),
    )


@contextmanager
def fast_ciphers() -> Iterator[None]:
    """Let Kurigram have quick AES, as it would from TgCrypto: its own takes 10 s for 1 MiB."""
    with patch.multiple(
        aes,
        ige256_encrypt=cryptg.encrypt_ige,
        ige256_decrypt=cryptg.decrypt_ige,
        ctr256_encrypt=_ctr,
        ctr256_decrypt=_ctr,
    ):
        yield


def _ctr(data: bytes, key: bytes, iv: bytearray, state: bytearray) -> bytes:
    """Encrypt and move ``iv``, the counter, and ``state``, the offset in its block, on in place."""
    stream = Cipher(AES(bytes(key)), CTR(bytes(iv))).encryptor()
    stream.update(bytes(state[0]))
    encrypted: bytes = stream.update(bytes(data))
    blocks, state[0] = divmod(state[0] + len(data), 16)
    counter = (int.from_bytes(iv, "big") + blocks) % (1 << 128)
    iv[:] = counter.to_bytes(16, "big")
    return encrypted
