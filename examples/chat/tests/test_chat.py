"""Two people take names and write to each other, each over a socket and with a key of their own."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from chat.service import make_chat
from telethon.extensions import BinaryReader
from telethon.tl import functions, types
from twisted.internet import reactor
from twisted.internet.address import IPv4Address
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IReactorCore
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from gnetway.crypto.rsa import generate_pem
from gnetway.errors import RpcError
from gnetway.interfaces import IGatewayReactor
from gnetway.testing import ServerKey
from gnetway.testing.dial import Client

PEM = generate_pem()


class Person:
    """A client of the chat."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def ask(self, request: Any) -> Any:
        return BinaryReader(self.client.call(bytes(request))).tgread_object()

    def take_name(self, name: str) -> int:
        user_id: int = self.ask(functions.account.UpdateUsernameRequest(name)).id
        return user_id

    def write(self, user_id: int, text: str) -> Any:
        peer = types.InputPeerUser(user_id, 0)
        return self.ask(functions.messages.SendMessageRequest(peer, text, random_id=1))

    def read(self, user_id: int) -> list[str]:
        peer = types.InputPeerUser(user_id, 0)
        request = functions.messages.GetHistoryRequest(peer, 0, None, 0, 10, 0, 0, 0)
        return [message.message for message in self.ask(request).messages]

    def hears(self, kind: type[Any]) -> Any:
        """Return the next update of a kind; others are passed over."""
        while True:
            told = BinaryReader(self.client.next_push()).tgread_object()
            told = getattr(told, "update", told)
            if isinstance(told, kind):
                return told


class ChatTests(TestCase):
    async def setUp(self) -> None:  # type: ignore[override]
        temporary = TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        (self.folder / "server.key").write_bytes(PEM)
        await self.start()

    async def start(self) -> None:
        self.chat = make_chat(
            cast(IGatewayReactor, reactor),
            "127.0.0.1:0",
            str(self.folder / "server.key"),
            str(self.folder / "keys.sqlite"),
            str(self.folder / "chat.sqlite"),
        )
        self.chat.startService()
        self.addCleanup(self.chat.stopService)
        await self.chat.when_ready()
        # Whatever Twisted has an endpoint for will do beside the address.
        local = serverFromString(cast(IReactorCore, reactor), r"tcp:0:interface=127.0.0.1")
        self.port = await self.chat.endpoints.listen(local)

    def person(self, before: "Person | None" = None) -> Person:
        """Connect somebody new, or somebody who was here before."""
        where = cast(IPv4Address, self.port.getHost())
        public = ServerKey.from_pem((self.folder / "server.key.pub").read_bytes())
        session = None if before is None else before.client.session
        client = Client(where.host, where.port, public, layer=229, session=session)
        self.addCleanup(client.close)
        return Person(client)

    async def talk(self, talk: Callable[[], None]) -> None:
        await deferToThread(talk)

    async def test_a_conversation(self) -> None:
        def talk() -> None:
            ada, bob = self.person(), self.person()
            ada_id, bob_id = ada.take_name("ada"), bob.take_name("bob")
            found = ada.ask(functions.contacts.ResolveUsernameRequest("BOB"))
            self.assertEqual(found.peer.user_id, bob_id)

            sent = ada.write(bob_id, "Hello")
            came = bob.hears(types.UpdateShortMessage)
            self.assertEqual((came.user_id, came.message, came.id), (ada_id, "Hello", sent.id))
            # It was acknowledged, so she is told.
            self.assertEqual(ada.hears(types.UpdateReadHistoryOutbox).max_id, sent.id)

            bob.write(ada_id, "Hello yourself")
            self.assertEqual(ada.hears(types.UpdateShortMessage).message, "Hello yourself")
            self.assertEqual(ada.read(bob_id), ["Hello yourself", "Hello"])

        await self.talk(talk)

    async def test_whoever_was_away(self) -> None:
        people: list[Any] = []

        def before() -> None:
            ada, bob = self.person(), self.person()
            people.extend((ada, ada.take_name("ada"), bob, bob.take_name("bob")))
            bob.client.close()
            ada.write(people[3], "Are you there?")
            ada.client.close()

        await self.talk(before)
        # A new process, as far as the chat can tell.
        await self.chat.stopService()
        await self.start()

        def after() -> None:
            ada, bob = self.person(people[0]), self.person(people[2])
            (me,) = bob.ask(functions.users.GetUsersRequest([types.InputUserSelf()]))
            self.assertEqual(me.username, "bob")
            self.assertEqual(bob.read(people[1]), ["Are you there?"])
            self.assertEqual(ada.read(people[3]), ["Are you there?"])
            ada.write(people[3], "And now?")
            self.assertEqual(bob.hears(types.UpdateShortMessage).message, "And now?")

        await self.talk(after)

    async def test_who_comes_and_goes(self) -> None:
        def talk() -> None:
            ada, bob = self.person(), self.person()
            ada.take_name("ada")
            bob_id = bob.take_name("bob")
            bob.client.close()
            gone = ada.hears(types.UpdateUserStatus)
            self.assertEqual(gone.user_id, bob_id)
            self.assertIsInstance(gone.status, types.UserStatusOffline)

        await self.talk(talk)

    async def test_what_is_refused(self) -> None:
        def talk() -> None:
            ada, stranger = self.person(), self.person()
            ada_id = ada.take_name("ada")
            for person, request, error in (
                (stranger, functions.updates.GetStateRequest(), "401 AUTH_KEY_UNREGISTERED"),
                (stranger, functions.account.UpdateUsernameRequest("Ada"), "USERNAME_OCCUPIED"),
                (stranger, functions.account.UpdateUsernameRequest("a b"), "USERNAME_INVALID"),
                (ada, functions.contacts.ResolveUsernameRequest("bob"), "USERNAME_NOT_OCCUPIED"),
                (ada, functions.messages.GetDialogFiltersRequest(), "401 AUTH_KEY_UNREGISTERED"),
            ):
                with self.assertRaisesRegex(RpcError, error):
                    person.ask(request)
            with self.assertRaisesRegex(RpcError, "PEER_ID_INVALID"):
                ada.write(ada_id + 7, "Nobody")
            with self.assertRaisesRegex(RpcError, "MESSAGE_EMPTY"):
                ada.write(ada_id, "")

        await self.talk(talk)
