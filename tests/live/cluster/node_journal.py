"""What session nodes have heard and done, life by life, and what is wrong with it."""

import json
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Final, NamedTuple

Session = tuple[int, int]

#: How often a message may come to nodes that do not refuse it.
MOST_ARRIVALS: Final = 2


class What(StrEnum):
    """What a line tells."""

    BEGUN = "begun"
    #: Data that the node began to work at, and was done with.
    HEARD = "heard"
    TAKEN = "taken"
    REFUSED = "refused"
    REDIRECTED = "redirected"
    CLOSED = "closed"


class Entry(NamedTuple):
    """One line; ``at`` is the machine's monotonic clock, in nanoseconds.

    ``life`` is the process, ``first`` whether data announced their session.
    """

    at: int
    life: int
    node: str
    what: What
    session: Session = (0, 0)
    msg_id: int = 0
    first: bool = False


class Journal:
    """Where one life of a node writes its lines; each is there though it is killed after that."""

    def __init__(self, path: Path, node: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._node = node

    def write(
        self, what: What, session: Session = (0, 0), msg_id: int = 0, first: bool = False
    ) -> None:
        entry = Entry(time.monotonic_ns(), os.getpid(), self._node, what, session, msg_id, first)
        os.write(self._file, json.dumps(entry).encode() + b"\n")


def read(path: Path, begins_at: int = 0) -> Iterator[Entry]:
    """Yield the lines of a journal from a place in the file on."""
    with path.open() as file:
        file.seek(begins_at)
        lines = file.readlines()
    for line in lines:
        at, life, node, what, session, msg_id, first = json.loads(line)
        yield Entry(at, life, node, What(what), (session[0], session[1]), msg_id, first)


class Talk(NamedTuple):
    """What a client said on one connection, and what it heard.

    Of the msg_ids in ``sent``, in order, some were ``answered``, and some ``acked`` by a quick
    ack. ``ended`` is whether the gateway has ended the connection.
    """

    session: Session
    sent: list[int]
    answered: set[int]
    acked: set[int]
    ended: bool = False


def faults(entries: Iterable[Entry], talks: Sequence[Talk], living: set[int]) -> list[str]:
    """Return what is wrong, in words; ``living`` are the lives that have not ended."""
    entries = sorted(entries)
    return [
        *_lost(entries, talks),
        *_out_of_order(entries),
        *_too_often(entries),
        *_unknown(entries),
        *(f"session {session[1]} is left open" for session in left_open(entries, living)),
    ]


def left_open(entries: Iterable[Entry], living: set[int]) -> set[Session]:
    """Return the sessions that a life of ``living`` has heard the beginning of, but no end."""
    found = set()
    for entry in sorted(entries):
        if entry.life not in living:
            continue
        if entry.what is What.HEARD and entry.first:
            found.add((entry.life, entry.session))
        elif entry.what is What.CLOSED:
            found.discard((entry.life, entry.session))
    return {session for _, session in found}


def _lost(entries: list[Entry], talks: Sequence[Talk]) -> Iterator[str]:
    taken = {entry.msg_id for entry in entries if entry.what is What.TAKEN}
    for talk in talks:
        if talk.ended:
            continue
        for msg_id in talk.sent:
            if msg_id not in talk.answered:
                signs = {"quick ack": talk.acked, "taken": taken}
                told = [sign for sign, those in signs.items() if msg_id in those]
                known = ", ".join(told) or "not acknowledged"
                yield f"message {msg_id} of session {talk.session[1]} is lost ({known})"


def _out_of_order(entries: list[Entry]) -> Iterator[str]:
    """Compare those that nodes worked at, each where it came first."""
    last: dict[Session, int] = {}
    seen: set[tuple[Session, int]] = set()
    for entry in entries:
        if entry.what is not What.HEARD or (entry.session, entry.msg_id) in seen:
            continue
        seen.add((entry.session, entry.msg_id))
        if entry.msg_id < last.get(entry.session, 0):
            yield f"message {entry.msg_id} of session {entry.session[1]} comes too late"
        last[entry.session] = max(entry.msg_id, last.get(entry.session, 0))


def _too_often(entries: list[Entry]) -> Iterator[str]:
    arrivals = Counter((one.session, one.msg_id) for one in entries if one.what is What.HEARD)
    for (session, msg_id), number in arrivals.items():
        if number > MOST_ARRIVALS:
            yield f"message {msg_id} of session {session[1]} has come {number} times"


def _unknown(entries: list[Entry]) -> Iterator[str]:
    """Find data and ends of sessions that a life has not heard of, but one before it.

    Whether a first message that was refused has announced its session is the service's secret.
    """
    announced: set[tuple[int, Session]] = set()
    known: set[tuple[int, Session]] = set()
    known_before: set[tuple[str, Session]] = set()
    for entry in entries:
        place = entry.life, entry.session
        if entry.what is What.CLOSED:
            # One that no life has heard of may have been lost on its way here.
            if place not in known and (entry.node, entry.session) in known_before:
                yield f"{entry.node} hears the end of session {entry.session[1]} of another life"
        elif entry.what is What.HEARD and not entry.first and place not in announced:
            yield f"{entry.node} hears data of session {entry.session[1]} without a beginning"
        if entry.msg_id:
            known.add(place)
            known_before.add((entry.node, entry.session))
            if entry.first:
                announced.add(place)
