"""An RPC handler that does everything wrong, by ``async def``: the call names what.

WILD which   → whatever stands there in WAYS
WAIT         → nothing; it says in the log when it is cancelled
"""

import asyncio
from collections.abc import Callable
from typing import Final, cast

from twisted.internet.defer import Deferred, fail
from twisted.logger import Logger
from zope.interface import implementer

from gnetway.errors import RpcError
from gnetway.interfaces import IRpcHandler, IRpcSessions, RpcCall
from gnetway.tl.primitives import Reader, pack_uint32

WILD: Final = 0xEC400011
WAIT: Final = 0xEC400012

CANCELLED_LINE: Final = "the call that waited was cancelled"


def _raise(error: BaseException) -> object:
    raise error


def _changed() -> RpcError:
    error = RpcError(400, "OOPS")
    error.code, error.text = cast(int, "oops"), cast(str, 400)
    return error


#: What the calls get that name it: awaited where that can be, else returned.
WAYS: Final[list[Callable[[], object]]] = [
    lambda: RpcError(cast(int, "oops"), cast(str, 400)),
    lambda: RpcError(400, cast(str, None)),
    lambda: RpcError(2**40, "OOPS"),
    lambda: _raise(_changed()),
    lambda: fail(_changed()),
    lambda: fail(SystemExit(3)),
    lambda: _raise(SystemExit(3)),
    lambda: _raise(KeyboardInterrupt()),
    lambda: _raise(asyncio.CancelledError()),
    lambda: _raise(ValueError("oops")),
    lambda: None,
    lambda: "text",
    lambda: bytearray(8),
    lambda: b"odd",
    lambda: bytes(80 << 20),
]


def wild(which: int) -> bytes:
    return pack_uint32(WILD) + pack_uint32(which)


@implementer(IRpcHandler)
class WildHandler:
    _log = Logger()

    def __init__(self, sessions: IRpcSessions) -> None:
        del sessions

    async def handle(self, call: RpcCall) -> bytes:
        if call.constructor == WAIT:
            try:
                await Deferred()
            finally:
                self._log.info(CANCELLED_LINE)
        result = WAYS[Reader(call.body, 4).uint32()]()
        return await result if isinstance(result, Deferred) else cast(bytes, result)


class NoCallHandler(WildHandler):
    async def handle(self) -> bytes:  # type: ignore[override]
        return b"done"
