"""A handler written for asyncio, with Telethon's objects."""

import asyncio
from typing import Any

from telethon.tl import types
from twisted.internet import reactor  # noqa: TID251 (twistd has chosen it by now)
from twisted.internet.task import deferLater
from twisted.logger import Logger

from gnetway.interfaces import IRpcSessions, RpcCall
from gnetway.routes import Routes, route


class Invitations:
    """Whoever invites waits for somebody who asks for the terms."""

    _log = Logger()

    def __init__(self) -> None:
        self._asked = asyncio.Event()

    @route("help.getInviteText")
    async def invite(self, request: Any, call: RpcCall) -> object:
        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            waiting = group.create_task(self._asked.wait())
            thread = group.create_task(asyncio.to_thread(lambda: "thread"))
        await deferLater(reactor, 0)
        return types.help.InviteText(f"{waiting.result()}, {thread.result()}, {call.layer > 0}")

    @route("help.getAppUpdate")
    async def ask(self, request: Any, call: RpcCall) -> object:
        self._asked.set()
        return types.help.NoAppUpdate()

    @route("help.getCdnConfig")
    async def never(self, request: Any, call: RpcCall) -> object:
        try:
            return await asyncio.Event().wait()
        finally:
            self._log.info("never: let go")


class AsyncioHandler(Routes):
    def __init__(self, sessions: IRpcSessions) -> None:
        super().__init__(Invitations())
