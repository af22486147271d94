"""What operators ask of the connections of a gateway, whether it is one process or several.

    question    →  part of each process   ``part_of``    plain data, which pipes carry
    parts       →  the answer             ``joined``

A gateway in one process has one part, and answers for itself: ``Operations``.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from twisted.internet.defer import Deferred

from gnetway.admin.status import NotFound, QueryFault, Status, Summary
from gnetway.runtime.clocks import WallClock
from gnetway.service.connections import (
    Connections,
    Failures,
    Kind,
    Page,
    Query,
    failures_as_json,
)
from gnetway.service.reload import Reloads

Part = dict[str, Any]

#: Questions about one connection, whose id says which process has it.
OF_ONE: Final = frozenset({"connection", "end", "drain"})


def split_id(given: Mapping[str, str]) -> tuple[int | None, int]:
    """Return the worker that has the connection of an id, None for none, and its number there.

    :raises QueryFault: it is no id.
    """
    text = given.get("id", "")
    worker, dash, number = text.rpartition("-")
    if not (_is_whole(number) and (not dash or _is_whole(worker))):
        raise QueryFault(f"id={text[:40]}: it is none that a list has")
    return int(worker) if dash else None, int(number)


def _is_whole(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 20


async def part_of(
    connections: Connections, what: str, given: Mapping[str, str], now: float
) -> Part:
    """Return what one process knows; ``now`` is in Unix seconds.

    :raises QueryFault: there is no such question, or its parameters are none.
    """
    if what == "connections":
        page = await connections.page(Query.parse(given), now)
        return page._asdict()
    if what == "summary":
        return (await connections.summary())._asdict()
    if what == "failures":
        kinds = await connections.failures()
        return {"kinds": [[list(kind), *failures] for kind, failures in kinds.items()]}
    if what not in OF_ONE:
        raise QueryFault(f"{what[:40]}: there is no such question")
    _, number = split_id(given)
    if what == "connection":
        return {"found": connections.find(number, now)}
    return {"done": connections.end(number) if what == "end" else connections.drain(number)}


def joined(
    what: str, given: Mapping[str, str], parts: list[Part], keys: str, now: float
) -> dict[str, Any]:
    """Return the answer to a question; ``keys`` are the fingerprints of our RSA keys as text.

    :raises NotFound: no process has such a connection.
    """
    if what == "connections":
        query = Query.parse(given)
        pages = [
            Page([(value, shown) for value, shown in part["rows"]], part["matched"], part["total"])
            for part in parts
        ]
        return Page.of_all(pages, query).as_json(query, now)
    if what == "summary":
        counts = [[part[name] for name in Summary._fields] for part in parts]
        return Summary.of_all(counts).as_json(now)
    if what == "failures":
        return {"now": round(now, 3), "failures": failures_as_json(_kinds(parts), keys)}
    found = next((part for part in parts if part.get("found") or part.get("done")), None)
    if found is None:
        raise NotFound("no connection of that id is open or remembered")
    return found["found"] if what == "connection" else {"id": given.get("id", ""), "done": what}


def _kinds(parts: list[Part]) -> dict[Kind, Failures]:
    kinds: dict[Kind, Failures] = {}
    for part in parts:
        for (who, phase, cause, application), *rest in part["kinds"]:
            kind, failures = (who, phase, cause, application), Failures(*rest)
            kinds[kind] = kinds[kind].plus(failures) if kind in kinds else failures
    return kinds


async def of_configuration(reloads: Reloads, what: str) -> dict[str, Any] | None:
    """Answer what concerns the configuration of all processes; None for any other question."""
    if what == "reload":
        return (await reloads.reload()).as_json()
    if what == "reloads":
        # The newest first.
        return {"reloads": [result.as_json() for result in reversed(reloads.results)]}
    return None


class Operations:
    """A StatusSource over a gateway in one process.

    ``connections`` returns None while no client is served yet, ``keys`` the fingerprints of our RSA
    keys. ``stop`` ends the gateway where
    that is nobody else's to say, and is None elsewhere.
    """

    def __init__(
        self,
        status: Callable[[], Deferred[Status]],
        connections: Callable[[], Connections | None],
        keys: Callable[[], str],
        wall: WallClock,
        reloads: Reloads,
        stop: Callable[[], object] | None,
    ) -> None:
        self._reloads = reloads
        self.status = status
        self._connections = connections
        self._keys = keys
        self._wall = wall
        self._stop = stop

    def ask(self, what: str, given: Mapping[str, str]) -> Deferred[dict[str, Any]]:
        """See StatusSource."""
        return Deferred.fromCoroutine(self._ask(what, given))

    async def _ask(self, what: str, given: Mapping[str, str]) -> dict[str, Any]:
        answer = await of_configuration(self._reloads, what)
        if answer is not None:
            return answer
        connections, now = self._connections(), self._wall()
        parts = [] if connections is None else [await part_of(connections, what, given, now)]
        return joined(what, given, parts, self._keys(), now)

    def drain(self) -> bool:
        """See StatusSource."""
        if self._stop is None:
            return False
        self._stop()
        return True
