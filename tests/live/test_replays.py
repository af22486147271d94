"""A message that was recorded, sent again to a gateway that has been restarted."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from unittest import TestCase

from gnetway.tl.primitives import Constructor
from tests.live.client import LiveClient, constructor_of, now
from tests.live.gateway import PATIENCE_SECONDS, Gateway
from tests.live.handler import cdn_file, echo
from tests.live.telethon_client import RawRequest, make_client, session_for


class ReplayTests(TestCase):
    def setUp(self) -> None:
        self.gateway = Gateway()
        self.addCleanup(self.gateway.remove)
        self.gateway.start()

    def restart(self) -> None:
        self.gateway.stop()
        self.gateway.start()

    def crash(self) -> None:
        os.kill(self.gateway.pid, signal.SIGKILL)
        self.gateway.wait()
        self.gateway.start()

    def test_recorded_call_after_a_restart(self) -> None:
        self.check(self.restart, round_trips=0)

    def test_recorded_call_after_a_crash(self) -> None:
        self.check(self.crash, round_trips=1)

    def check(self, begin_again: Callable[[], None], round_trips: int) -> None:
        """``round_trips`` is what the client itself has to pay for it."""
        with LiveClient(self.gateway) as client:
            session = client.make_key()
            client.ping(session)
            recorded = session.encrypt(echo(b"pay"), now())
            client.send(recorded)
            for said in client.bodies(session):
                if constructor_of(said) == Constructor.RPC_RESULT:
                    break
        begin_again()
        with LiveClient(self.gateway) as thief:
            thief.send(recorded)
            first = next(thief.bodies(session))
            self.assertEqual(constructor_of(first), Constructor.BAD_SERVER_SALT)
        with LiveClient(self.gateway) as client:
            self.assertEqual(client.call(session, echo(b"pay")), cdn_file(b"pay"))
            kinds = [constructor_of(said) for said in client.heard]
            self.assertEqual(kinds.count(Constructor.BAD_SERVER_SALT), round_trips)

    def test_telethon_goes_on_at_once(self) -> None:
        """A call that was made while nobody was there is answered, too."""

        async def talk() -> None:
            client = make_client(session_for(self.gateway), connection_retries=60)
            await client.connect()
            await client(RawRequest(echo(b"before")))
            await asyncio.to_thread(self.gateway.stop)
            call = asyncio.ensure_future(client(RawRequest(echo(b"between"))))
            await asyncio.to_thread(self.gateway.start)
            began = time.monotonic()
            answer = await asyncio.wait_for(call, PATIENCE_SECONDS)
            self.assertEqual(answer.bytes, b"between")
            # It tries to connect once a second.
            self.assertLess(time.monotonic() - began, 15)
            await client.disconnect()

        asyncio.run(talk())
