"""A server as there might be one: asyncio, TL of its own, keys in a table of its own.

It stands for whatever is to be ported, and knows nothing of gnetway. It is made up, and so are its
methods, which are answered by help.supportName, for clients have a class for that:

    logIn#10910001 name:string                  = help.SupportName
    say#10910002 to:string text:string          = help.SupportName
    updateSaid#10910003 name:string text:string = Update        layers up to 200
    updateSaid#10910004 name:string text:string = Update        from layer 201: the name comes last
"""

import asyncio
import struct
from collections.abc import Awaitable, Callable
from typing import Any

LOG_IN, SAY, SAID, SAID_201, SUPPORT_NAME = (
    0x10910001,
    0x10910002,
    0x10910003,
    0x10910004,
    0x8C05F1C9,
)

#: Makes an update for a client of a layer.
ForLayer = Callable[[int], bytes]


class Refused(Exception):
    """What its clients are told of as an rpc_error."""

    def __init__(self, code: int, name: str) -> None:
        super().__init__(name)
        self.code = code
        self.name = name


class Table:
    """Rows by number, in a database as far away as any."""

    def __init__(self) -> None:
        self._rows: dict[int, dict[str, Any]] = {}

    async def get(self, number: int) -> dict[str, Any] | None:
        await asyncio.sleep(0)
        row = self._rows.get(number)
        return None if row is None else dict(row)

    async def put(self, number: int, row: dict[str, Any]) -> None:
        await asyncio.sleep(0)
        self._rows[number] = dict(row)

    async def delete(self, number: int) -> None:
        await asyncio.sleep(0)
        self._rows.pop(number, None)

    async def where(self, is_wanted: Callable[[dict[str, Any]], bool]) -> list[int]:
        await asyncio.sleep(0)
        return [number for number, row in self._rows.items() if is_wanted(row)]


class Server:
    """Answers calls; ``send`` and ``logged_in`` are for who brings them."""

    def __init__(self) -> None:
        self.keys = Table()
        self._names: dict[int, str] = {}
        #: Sends an update to all clients of a user.
        self.send: Callable[[str, ForLayer], Awaitable[int]]
        #: Hears whose key it is.
        self.logged_in: Callable[[int, str], None]

    async def handle(self, auth_key_id: int, session_id: int, layer: int, method: bytes) -> bytes:
        """Answer one call."""
        (number,) = struct.unpack_from("<I", method)
        if number == LOG_IN:
            name, _ = _string(method, 4)
            self._names[auth_key_id] = name
            self.logged_in(auth_key_id, name)
            return _support_name(f"Hello, {name}, of layer {layer}")
        me = self._names.get(auth_key_id)
        if me is None:
            raise Refused(401, "AUTH_KEY_UNREGISTERED")
        if number == SAY:
            async with asyncio.timeout(30):
                to, end = _string(method, 4)
                text, _ = _string(method, end)
                reached = await self.send(to, lambda layer: _said(layer, me, text))
            return _support_name(f"{reached} have it")
        raise Refused(400, "INPUT_METHOD_INVALID")


def _said(layer: int, name: str, text: str) -> bytes:
    if layer > 200:
        return struct.pack("<I", SAID_201) + _packed(text) + _packed(name)
    return struct.pack("<I", SAID) + _packed(name) + _packed(text)


def _support_name(text: str) -> bytes:
    return struct.pack("<I", SUPPORT_NAME) + _packed(text)


def _packed(text: str) -> bytes:
    data = text.encode()
    return bytes([len(data)]) + data + bytes(-(len(data) + 1) % 4)


def _string(data: bytes, at: int) -> tuple[str, int]:
    end = at + 1 + data[at]
    return data[at + 1 : end].decode(), end + -(end - at) % 4
