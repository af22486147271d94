"""The table of calls that need a login, against every method that real clients have."""

from collections.abc import Iterator

import pyrogram.raw.all
from telethon.tl import TLRequest, alltlobjects
from twisted.trial.unittest import SynchronousTestCase

from gnetway.backends.embedded.handler import NEED_LOGIN, not_served

#: Part of what the module's head lists; the other parts are whole namespaces.
LOGIN_STEPS = {
    "account.getpassword",
    "account.deleteaccount",
    "account.sendverifyemailcode",
    "account.verifyemail",
}
USERS_HELP = {
    f"help.{name}"
    for name in (
        "dismisssuggestion",
        "edituserinfo",
        "getuserinfo",
        "hidepromodata",
        "setbotupdatesstatus",
        "getrecentmeurls",
        "getpremiumpromo",
    )
}


def needs_login(name: str) -> bool:
    """Tell it by a name such as help.getconfig; those without a dot are wrappers and MTProto's."""
    space, dot, _ = name.partition(".")
    if not dot or space in ("auth", "langpack"):
        return False
    return name in USERS_HELP if space == "help" else name not in LOGIN_STEPS


def telethon_methods() -> Iterator[tuple[str, int]]:
    for cls in alltlobjects.tlobjects.values():
        if issubclass(cls, TLRequest):
            space = cls.__module__.removeprefix("telethon.tl.functions").lstrip(".")
            name = cls.__name__.removesuffix("Request")
            yield (f"{space}.{name}" if space else name).lower(), cls.CONSTRUCTOR_ID


def kurigram_methods() -> Iterator[tuple[str, int]]:
    for constructor, cls in pyrogram.raw.all.objects.items():
        kind, _, name = str(getattr(cls, "QUALNAME", "")).partition(".")
        if kind == "functions":
            yield name.lower(), constructor


class TableTests(SynchronousTestCase):
    def assert_agrees(self, methods: dict[str, int]) -> None:
        self.assertGreater(len(methods), 700)
        missing = {
            name: f"{constructor:08x}"
            for name, constructor in methods.items()
            if needs_login(name) != (constructor in NEED_LOGIN)
        }
        self.assertEqual(missing, {})

    def test_telethon(self) -> None:
        self.assert_agrees(dict(telethon_methods()))

    def test_kurigram(self) -> None:
        self.assert_agrees(dict(kurigram_methods()))

    def test_older_layers(self) -> None:
        """users.getFullUser and messages.getDialogs of layer 131, channels.getMessages of 152."""
        for constructor in (0xCA30A5B1, 0xA0EE3B73, 0xAD8C9A23):
            self.assertIn(constructor, NEED_LOGIN)


class ErrorTests(SynchronousTestCase):
    def test_errors(self) -> None:
        for constructor, code, text in (
            (0xEDD4882A, 401, "AUTH_KEY_UNREGISTERED"),  # updates.getState
            (0x0D91A548, 401, "AUTH_KEY_UNREGISTERED"),  # users.getUsers
            (0xF2F2330A, 400, "INPUT_METHOD_INVALID"),  # langpack.getLangPack
            (0x735787A8, 400, "INPUT_METHOD_INVALID"),  # help.getCountriesList
            (0xB7E085FE, 400, "INPUT_METHOD_INVALID"),  # auth.exportLoginToken
            (0x548A30F5, 400, "INPUT_METHOD_INVALID"),  # account.getPassword
            (0xDEADBEEF, 400, "INPUT_METHOD_INVALID"),
            (0, 400, "INPUT_METHOD_INVALID"),
        ):
            error = not_served(constructor)
            self.assertEqual((error.code, error.text), (code, text), hex(constructor))
