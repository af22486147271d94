"""Blocking work behind Deferreds: with real threads, and a connection that blocks on command."""

import threading
from collections.abc import Callable
from typing import cast
from unittest.mock import patch

from twisted.internet import reactor as global_reactor  # noqa: TID251 - trial runs this one
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.threadable import isInIOThread
from twisted.trial.unittest import TestCase

from gnetway.discovery import etcd_threads
from gnetway.discovery.etcd_api import Deleted, Entry, EtcdError, Snapshot
from gnetway.discovery.etcd_connection import EtcdSettings
from gnetway.discovery.etcd_threads import EtcdThreads

reactor = cast("IReactorFromThreads", global_reactor)


class BlockingConnection:
    """Blocks in ``watch`` until closed; ``places`` lists which calls ran in the reactor thread."""

    def __init__(self, host: str, settings: EtcdSettings) -> None:
        self.closed = threading.Event()
        self.places: list[bool] = []

    def open(self) -> None:
        self.places.append(isInIOThread())

    def read(self, prefix: str) -> Snapshot:
        self.places.append(isInIOThread())
        raise EtcdError(prefix)

    def watch(
        self, prefix: str, revision: int, changed: Callable[[list[Entry | Deleted]], None]
    ) -> None:
        changed([Deleted(f"{prefix}/{revision}")])
        self.closed.wait(10)
        changed([Deleted("after the close")])
        raise EtcdError("closed")

    def grant(self, ttl_seconds: int) -> int:
        return ttl_seconds + 1

    def put(self, key: str, value: str, lease_id: int) -> None:
        raise EtcdError(f"{key} {value} {lease_id}")

    def keep_alive(self, lease_id: int) -> None:
        raise EtcdError(f"keep {lease_id}")

    def revoke(self, lease_id: int) -> None:
        raise EtcdError(f"revoke {lease_id}")

    def close(self) -> None:
        self.places.append(isInIOThread())
        self.closed.set()


class EtcdThreadsTests(TestCase):
    timeout = 20

    def setUp(self) -> None:
        self.made: list[BlockingConnection] = []

        def make(host: str, settings: EtcdSettings) -> BlockingConnection:
            self.made.append(BlockingConnection(host, settings))
            return self.made[-1]

        patcher = patch.object(etcd_threads, "EtcdConnection", make)
        patcher.start()
        self.addCleanup(patcher.stop)
        self.before = set(threading.enumerate())
        self.threads = EtcdThreads(reactor, EtcdSettings(("one:2379",)))
        self.threads.start()

    def finished(self) -> Deferred[None]:
        """Stop, then look for threads that were left."""

        def look(_: object) -> None:
            mine = set(threading.enumerate()) - self.before
            self.assertEqual([thread for thread in mine if "etcd" in thread.name], [])

        return self.threads.stop().addCallback(look)

    def test_results_and_errors(self) -> Deferred[None]:
        async def test() -> None:
            client = self.threads.client("one:2379")
            await client.open()
            self.assertEqual(await client.grant(10), 11)
            for failing, text in (
                (client.read("p"), "p"),
                (client.put("k", "v", 3), "k v 3"),
                (client.keep_alive(4), "keep 4"),
                (client.revoke(5), "revoke 5"),
            ):
                error = await self.assertFailure(cast("Deferred[object]", failing), EtcdError)
                self.assertEqual(str(error), text)
                self.assertTrue(isInIOThread())
            await self.finished()
            self.assertEqual(self.made[0].places, [False, False, False])

        return Deferred.fromCoroutine(test())

    def test_watch(self) -> Deferred[None]:
        """Changes come in the reactor thread, none after a close; the close ends it."""

        async def test() -> None:
            client = self.threads.client("one:2379")
            seen: list[Entry | Deleted] = []
            heard: Deferred[None] = Deferred()

            def changed(changes: list[Entry | Deleted]) -> None:
                self.assertTrue(isInIOThread())
                seen.extend(changes)
                heard.callback(None)

            watching = client.watch("p", 7, changed)
            await heard
            client.close()
            client.close()
            await self.assertFailure(watching, EtcdError)
            self.assertEqual(seen, [Deleted("p/7")])
            await self.finished()

        return Deferred.fromCoroutine(test())

    def test_cancelled_watch(self) -> Deferred[None]:
        """Its result is given up at once, its thread is waited for."""

        async def test() -> None:
            watching = self.threads.client("one:2379").watch("p", 7, lambda changes: None)
            watching.cancel()
            await self.assertFailure(watching, CancelledError)
            await self.finished()
            self.assertTrue(self.made[0].closed.is_set())

        return Deferred.fromCoroutine(test())
