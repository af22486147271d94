"""A client's calls and what is pushed to it, with an embedded gateway on the other side."""

import gzip
from collections.abc import Callable
from typing import Any, TypeVar, cast

from twisted.internet import reactor  # noqa: TID251 (trial has chosen it)
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IReactorCore
from twisted.internet.threads import deferToThread

from gnetway import RpcFactory
from gnetway.errors import RpcError
from gnetway.interfaces import IRpcSessions, RpcCall
from gnetway.routes import Routes, route
from gnetway.testing import ServerKey
from gnetway.testing.dial import Client
from gnetway.tl.primitives import pack_int32, pack_string, pack_uint32
from tests.service.cases import ServiceCase

T = TypeVar("T")

ECHO, PACKED, REFUSED, NEWS, LAYER = (pack_uint32(0xCA110000 + number) for number in range(5))


class Calls:
    def __init__(self, sessions: IRpcSessions) -> None:
        self._sessions = sessions

    @route(0xCA110000)
    def echo(self, body: bytes, call: RpcCall) -> bytes:
        return body

    @route(0xCA110001)
    def packed(self, body: bytes, call: RpcCall) -> bytes:
        return pack_uint32(0x3072CFA1) + pack_string(gzip.compress(body * 1000))

    @route(0xCA110002)
    def refused(self, body: bytes, call: RpcCall) -> bytes:
        raise RpcError(420, "FLOOD_WAIT_7")

    @route(0xCA110003)
    def news(self, body: bytes, call: RpcCall) -> bytes:
        for number in (1, 2):
            self._sessions.push(call.auth_key_id, call.session_id, body + pack_int32(number))
        return body

    @route(0xCA110004)
    def layer(self, body: bytes, call: RpcCall) -> bytes:
        return pack_int32(call.layer)


class CallsTests(ServiceCase):
    async def setUp(self) -> None:  # type: ignore[override]
        super().setUp()
        self.factory = RpcFactory(lambda sessions: Routes(Calls(sessions)))
        text = rf"mtproto:tcp\:0\:interface=127.0.0.1:key={self.directory / 'key.pem'}"
        endpoint = serverFromString(cast(IReactorCore, reactor), text)
        self.port = await endpoint.listen(self.factory)
        self.addCleanup(self.port.stopListening)
        self.key = ServerKey.from_pem((self.directory / "key.pem.pub").read_bytes())

    def client(self, **options: Any) -> Client:
        host: Any = self.port.getHost()
        return Client("127.0.0.1", host.port, self.key, **options)

    def talk(self, talk: Callable[[], T]) -> Deferred[T]:
        return deferToThread(talk)

    async def test_answers(self) -> None:
        def talk() -> None:
            with self.client() as client:
                for _ in range(2):
                    self.assertEqual(client.call(ECHO + b"abcd"), ECHO + b"abcd")
                self.assertEqual(client.call(PACKED), PACKED * 1000)
                with self.assertRaises(RpcError) as caught:
                    client.call(REFUSED)
                self.assertEqual(str(caught.exception), "420 FLOOD_WAIT_7")

        await self.talk(talk)

    async def test_pushes(self) -> None:
        def talk() -> None:
            with self.client() as client:
                self.assertEqual(client.call(NEWS), NEWS)
                pushed = [client.next_push() for _ in range(2)]
                self.assertEqual(pushed, [NEWS + pack_int32(1), NEWS + pack_int32(2)])
                self.assertEqual(len(client.pushes), 0)
                client.call(ECHO)

        await self.talk(talk)

    async def test_layers(self) -> None:
        def talk(layer: int) -> bytes:
            with self.client(layer=layer) as client:
                return client.call(LAYER)

        self.assertEqual(await deferToThread(talk, 201), pack_int32(201))
        self.assertEqual(await deferToThread(talk, 0), pack_int32(0))

    async def test_a_salt_that_is_no_more(self) -> None:
        def talk() -> None:
            with self.client() as client:
                client.session.salt ^= 1
                self.assertEqual(client.call(ECHO), ECHO)

        await self.talk(talk)

    async def test_the_session_goes_on(self) -> None:
        def talk() -> None:
            with self.client(layer=201) as client:
                client.call(LAYER)
            with self.client(session=client.session) as again:
                self.assertEqual(again.call(LAYER), pack_int32(201))

        await self.talk(talk)
