"""Handlers by TL method: decoded by Telethon's objects, by a schema of one's own, or raw."""

import asyncio
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

from telethon.tl import functions, types
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from gnetway.errors import ConfigError, RpcError, TLError
from gnetway.interfaces import IRpcHandler, RpcCall
from gnetway.routes import (
    MAX_READ_BYTES,
    MAX_READ_DEPTH,
    MAX_READ_OBJECTS,
    Routes,
    TelethonCodec,
    route,
)
from gnetway.tl.primitives import TooManyItems, pack_int32, pack_string, pack_uint32

OURS = 0x6E657401
BOLD = types.MessageEntityBold(0, 2)
ALIEN = pack_uint32(0xA11E0A11)
VECTOR = pack_uint32(0x1CB5C415)


def call(body: bytes, layer: int = 229) -> RpcCall:
    number = int.from_bytes(body[:4], "little")
    return RpcCall(body, number, 1, 2, 3, 4, layer, "198.51.100.4", "203.0.113.9")


def ask(routes: Routes, request: Any, layer: int = 229) -> Any:
    return routes.handle(call(bytes(request), layer))


class Greetings:
    """Answers in each of the ways that there are."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    @route("help.getInviteText")
    def invite(self, request: Any, call: RpcCall) -> object:
        self.heard.append(request)
        return types.help.InviteText(f"layer {call.layer}")

    @route("messages.sendMessage")
    async def send(self, request: Any, call: RpcCall) -> object:
        self.heard.append(request)
        return types.UpdateShortSentMessage(id=1, pts=2, pts_count=1, date=None)

    @route("users.getUsers")
    def users(self, request: Any, call: RpcCall) -> object:
        self.heard.append(request)
        return [types.UserEmpty(1), types.UserEmpty(2)]

    @route("account.checkUsername")
    def check(self, request: Any, call: RpcCall) -> object:
        if request.username == "taken":
            raise RpcError(400, "USERNAME_OCCUPIED")
        return request.username == "free"

    @route(OURS)
    def raw(self, body: bytes, call: RpcCall) -> bytes:
        self.heard.append(body)
        return pack_uint32(0x6E657402) + body[4:]

    @property
    def fragile(self) -> object:
        raise AssertionError("nobody is to look at this")


class RouteTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.greetings = Greetings()
        self.routes = Routes(self.greetings)

    def refused(self, body: bytes, routes: Routes | None = None) -> str:
        with self.assertRaises(RpcError) as caught:
            (routes or self.routes).handle(call(body))
        return str(caught.exception)

    def test_it_is_a_handler(self) -> None:
        verifyObject(IRpcHandler, self.routes)
        self.assertEqual(self.routes.layer, TelethonCodec().layer)

    def test_an_object_comes_and_an_object_goes(self) -> None:
        answer = ask(self.routes, functions.help.GetInviteTextRequest(), layer=201)
        self.assertEqual(answer, bytes(types.help.InviteText("layer 201")))
        self.assertIsInstance(self.greetings.heard[0], functions.help.GetInviteTextRequest)

    def test_all_fields_arrive(self) -> None:
        request = functions.messages.SendMessageRequest(
            types.InputPeerUser(7, 8), "hello", random_id=9, silent=True, entities=[BOLD]
        )
        answer = self.successResultOf(Deferred.fromCoroutine(ask(self.routes, request)))
        (heard,) = self.greetings.heard
        self.assertIsInstance(heard, functions.messages.SendMessageRequest)
        self.assertEqual(bytes(cast(Any, heard)), bytes(request))
        self.assertEqual(answer[:4], pack_uint32(types.UpdateShortSentMessage.CONSTRUCTOR_ID))

    def test_lists_and_bools(self) -> None:
        users = ask(self.routes, functions.users.GetUsersRequest([types.InputUserSelf()]))
        two = bytes(types.UserEmpty(1)) + bytes(types.UserEmpty(2))
        self.assertEqual(users, VECTOR + pack_int32(2) + two)
        for name, number in (("free", 0x997275B5), ("other", 0xBC799737)):
            answer = ask(self.routes, functions.account.CheckUsernameRequest(name))
            self.assertEqual(answer, pack_uint32(number))

    def test_rpc_errors_go_through(self) -> None:
        body = bytes(functions.account.CheckUsernameRequest("taken"))
        self.assertEqual(self.refused(body), "400 USERNAME_OCCUPIED")

    def test_bytes_stay_bytes_by_number(self) -> None:
        body = pack_uint32(OURS) + pack_string(b"Ada")
        self.assertEqual(self.routes.handle(call(body)), pack_uint32(0x6E657402) + body[4:])
        self.assertEqual(self.greetings.heard, [body])

    def test_a_method_without_a_route(self) -> None:
        self.assertEqual(
            self.refused(bytes(functions.contacts.GetStatusesRequest())),
            "401 AUTH_KEY_UNREGISTERED",
        )
        self.assertEqual(self.refused(ALIEN), "400 INPUT_METHOD_INVALID")

    def test_deferreds_and_futures(self) -> None:
        fired: Deferred[object] = Deferred()

        class Later:
            @route("help.getInviteText")
            def answer(self, request: Any, call: RpcCall) -> object:
                return fired

        told = ask(Routes(Later()), functions.help.GetInviteTextRequest())
        fired.callback(types.help.InviteText("x"))
        self.assertEqual(self.successResultOf(told), bytes(types.help.InviteText("x")))

        async def with_future() -> bytes:
            future: asyncio.Future[object] = asyncio.get_running_loop().create_future()

            @route(OURS)
            def answer(request: bytes, call: RpcCall) -> object:
                return future

            told = Routes(answer).handle(call(pack_uint32(OURS)))
            future.set_result(b"1234")
            assert not isinstance(told, bytes | Deferred)
            return await told

        self.assertEqual(asyncio.run(with_future()), b"1234")

    def test_what_is_no_object(self) -> None:
        for value in (None, "text", 7, object(), {"a": 1}):

            @route("help.getInviteText")
            def answer(request: object, call: RpcCall, value: object = value) -> object:
                return value

            with self.assertRaisesRegex(TypeError, f"{type(value).__name__} is no object"):
                ask(Routes(answer), functions.help.GetInviteTextRequest())
        with self.assertRaisesRegex(TypeError, "there is no codec"):

            @route(OURS)
            def raw(request: bytes, call: RpcCall) -> object:
                return 7

            Routes(raw).handle(call(pack_uint32(OURS)))


class LayerTests(SynchronousTestCase):
    """What becomes of clients whose layer is not the codec's."""

    def test_a_route_for_old_clients(self) -> None:
        class ByLayer:
            @route("help.getInviteText", until=150)
            def old(self, request: Any, call: RpcCall) -> bytes:
                return b"old."

            @route("help.getInviteText", since=151)
            def new(self, request: Any, call: RpcCall) -> object:
                return types.help.InviteText("new")

        routes = Routes(ByLayer())
        request = functions.help.GetInviteTextRequest()
        self.assertEqual(ask(routes, request, layer=150), b"old.")
        self.assertEqual(ask(routes, request, layer=0), b"old.")
        self.assertEqual(ask(routes, request, layer=151), bytes(types.help.InviteText("new")))

    def test_layers_that_no_route_is_for(self) -> None:
        @route("help.getInviteText", since=200, until=210)
        def some(request: Any, call: RpcCall) -> bytes:
            return b"some"

        for layer in (199, 211):
            with self.assertRaises(RpcError):
                ask(Routes(some), functions.help.GetInviteTextRequest(), layer)

    def test_an_unknown_constructor_inside(self) -> None:
        """It is the client's layer that has it: the rest gets the bytes, if there is one."""
        body = pack_uint32(functions.users.GetUsersRequest.CONSTRUCTOR_ID)
        body += VECTOR + pack_int32(1) + ALIEN
        with self.assertRaisesRegex(RpcError, "400 INPUT_CONSTRUCTOR_INVALID"):
            Routes(Greetings()).handle(call(body))

        @route("*")
        def rest(body: bytes, call: RpcCall) -> bytes:
            return b"rest" + body

        routes = Routes(Greetings(), rest)
        self.assertEqual(routes.handle(call(body)), b"rest" + body)
        self.assertEqual(routes.handle(call(ALIEN)), b"rest" + ALIEN)

    def test_several_routes_of_one_method(self) -> None:
        @route(0x11111111)
        @route(0x22222222)
        def both(body: bytes, call: RpcCall) -> bytes:
            return body

        routes = Routes(both)
        for number in (0x11111111, 0x22222222):
            self.assertEqual(routes.handle(call(pack_uint32(number))), pack_uint32(number))


class BodyTests(SynchronousTestCase):
    """What a client may send that cannot be read: an rpc_error each, and no fault of ours."""

    def refused(self, body: bytes) -> str:
        with self.assertRaises(RpcError) as caught:
            Routes(Greetings()).handle(call(body))
        return str(caught.exception)

    def test_cut_anywhere(self) -> None:
        request = functions.messages.SendMessageRequest(
            types.InputPeerUser(7, 8), "hello", random_id=9, entities=[BOLD]
        )
        body = bytes(request)
        for end in range(4, len(body), 4):
            self.assertIn(
                self.refused(body[:end]),
                ("400 INPUT_FETCH_ERROR", "400 INPUT_CONSTRUCTOR_INVALID"),
            )

    def test_more_than_belongs_there(self) -> None:
        body = bytes(functions.help.GetInviteTextRequest()) + bytes(4)
        self.assertEqual(self.refused(body), "400 INPUT_FETCH_ERROR")

    def test_an_object_of_another_type(self) -> None:
        get_users = pack_uint32(functions.users.GetUsersRequest.CONSTRUCTOR_ID)
        for wrong in (bytes(types.UserEmpty(1)), pack_uint32(0x997275B5), VECTOR + pack_int32(0)):
            body = get_users + VECTOR + pack_int32(1) + wrong
            self.assertEqual(self.refused(body), "400 INPUT_FETCH_ERROR")

    def test_an_object_of_another_type_deep_inside(self) -> None:
        """Also where the type has a namespace, which Telethon does not write beside the field."""
        codec = TelethonCodec()
        right = functions.account.UpdatePasswordSettingsRequest(
            types.InputCheckPasswordEmpty(), types.account.PasswordInputSettings()
        )
        self.assertEqual(codec.decode(bytes(right)), right)
        wrong = functions.account.UpdatePasswordSettingsRequest(
            types.InputCheckPasswordEmpty(), types.InputUserSelf()
        )
        with self.assertRaisesRegex(Exception, "where new_settings belongs"):
            codec.decode(bytes(wrong))

    def test_too_many_objects(self) -> None:
        def users(count: int) -> bytes:
            return bytes(functions.users.GetUsersRequest([types.InputUserSelf()] * count))

        codec = TelethonCodec()
        codec.decode(users(MAX_READ_OBJECTS - 1))
        with self.assertRaises(TooManyItems):
            codec.decode(users(MAX_READ_OBJECTS))
        self.assertEqual(self.refused(users(MAX_READ_OBJECTS)), "400 INPUT_REQUEST_TOO_LONG")

    def test_too_deep(self) -> None:
        nested = (VECTOR + pack_int32(1)) * MAX_READ_DEPTH
        body = pack_uint32(functions.help.AcceptTermsOfServiceRequest.CONSTRUCTOR_ID) + nested

        @route("help.acceptTermsOfService")
        def accept(request: Any, call: RpcCall) -> bool:
            return True

        with self.assertRaisesRegex(RpcError, "400 INPUT_REQUEST_TOO_LONG"):
            Routes(accept).handle(call(body))

    def test_too_large(self) -> None:
        name = "x" * MAX_READ_BYTES
        body = bytes(functions.account.CheckUsernameRequest(name))
        self.assertEqual(self.refused(body), "400 INPUT_REQUEST_TOO_LONG")

    def test_what_the_gateway_has_taken_off_is_not_unpacked_again(self) -> None:
        get_users = pack_uint32(functions.users.GetUsersRequest.CONSTRUCTOR_ID)
        packed = pack_uint32(0x3072CFA1) + pack_string(b"\x1f\x8b")
        body = get_users + VECTOR + pack_int32(1) + packed
        self.assertEqual(self.refused(body), "400 INPUT_CONSTRUCTOR_INVALID")

    def test_what_is_no_call(self) -> None:
        for body in (pack_uint32(0x997275B5), VECTOR + pack_int32(0), bytes(types.UserEmpty(1))):
            with self.assertRaisesRegex(TLError, "no call of a method"):
                TelethonCodec().decode(body)

    def test_a_negative_count(self) -> None:
        get_users = pack_uint32(functions.users.GetUsersRequest.CONSTRUCTOR_ID)
        body = get_users + VECTOR + pack_int32(-1) + bytes(types.InputUserSelf())
        self.assertEqual(self.refused(body), "400 INPUT_FETCH_ERROR")

    def test_faults_say_nothing_of_what_was_sent(self) -> None:
        body = bytes(functions.account.CheckUsernameRequest("secret name"))
        with self.assertRaises(Exception) as caught:
            TelethonCodec().decode(body[:-4])
        self.assertNotIn("secret", str(caught.exception))
        self.assertIsNone(caught.exception.__cause__)


class OwnSchema:
    """A codec of one's own: its only method is a text."""

    layer = 7

    def methods(self) -> dict[str, int]:
        return {"ours.say": OURS}

    def decode(self, body: bytes) -> object:
        return body[4:].decode()

    def encode(self, value: object) -> bytes:
        return str(value).encode()


class FaultTests(SynchronousTestCase):
    def fault_of(self, make: Callable[[], object]) -> str:
        with self.assertRaises(ConfigError) as caught:
            make()
        return str(caught.exception)

    def test_a_name_that_the_schema_does_not_have(self) -> None:
        @route("help.getInvitText")
        def typo(request: object, call: RpcCall) -> object: ...

        fault = self.fault_of(lambda: Routes(typo))
        self.assertIn("typo, route help.getInvitText: layer 229 has no such method", fault)
        self.assertIn("help.getInviteText is one", fault)

    def test_two_routes_for_the_same_calls(self) -> None:
        @route(OURS, until=100)
        def first(request: object, call: RpcCall) -> object: ...

        @route(OURS, since=100)
        def second(request: object, call: RpcCall) -> object: ...

        fault = self.fault_of(lambda: Routes(first, second))
        self.assertIn("second, route 0x6e657401: ", fault)
        self.assertIn("first answers the same calls", fault)

    def test_a_method_that_takes_other_than_two(self) -> None:
        class Forgetful:
            @route(OURS)
            def answer(self, request: object) -> object: ...

            @route("help.getInviteText")
            def other(self) -> object: ...

        fault = self.fault_of(lambda: Routes(Forgetful()))
        self.assertIn("Forgetful.answer, route 0x6e657401: cannot be called with two", fault)
        self.assertIn("Forgetful.other", fault)

    def test_without_the_extra(self) -> None:
        with patch.dict(sys.modules, {"telethon.tl": None, "telethon.extensions": None}):
            fault = self.fault_of(lambda: Routes(Greetings()))
        self.assertIn("`pip install gnetway[tl]`", fault)
        self.assertEqual(len(fault.splitlines()), 1)

    def test_what_needs_no_extra(self) -> None:
        @route(OURS)
        @route("*")
        def raw(body: bytes, call: RpcCall) -> bytes:
            return body

        @route("ours.say")
        def say(request: str, call: RpcCall) -> str:
            return request.upper()

        with patch.dict(sys.modules, {"telethon.tl": None, "telethon.extensions": None}):
            self.assertEqual(Routes(raw).handle(call(ALIEN)), ALIEN)
            self.assertEqual(Routes(raw).layer, 0)
            own = Routes(say, codec=OwnSchema())
        self.assertEqual(own.handle(call(pack_uint32(OURS) + b"hey!")), b"HEY!")
        self.assertEqual(own.layer, 7)


class PageTests(SynchronousTestCase):
    """The examples of docs/routes.md."""

    def test_they_run(self) -> None:
        page = (Path(__file__).parents[1] / "docs" / "routes.md").read_text()
        names: dict[str, Any] = {"__name__": "hello"}
        for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
            exec(code, names)
        check = functions.account.CheckUsernameRequest
        hello = names["Hello"](None)
        self.assertEqual(ask(hello, check("durov")), pack_uint32(0xBC799737))
        with self.assertRaisesRegex(RpcError, "USERNAME_INVALID"):
            ask(hello, check("me"))
        foo = bytes(types.help.InviteText("foo"))
        for layer in (150, 151):
            routes = Routes(names["ByLayer"]())
            self.assertEqual(ask(routes, functions.help.GetInviteTextRequest(), layer), foo)
        self.assertIn(f"{TelethonCodec().layer} in Telethon", page)
