"""Twisted's epoll reactor with a shorter loop, which touches its private parts.

Twisted wraps each event of a socket in a copied logging context, 2 to 3 microseconds that the
gateway's own log has no use for, and it knows no end of a turn but a timer of no time. Put in
place of ``doPoll`` of one reactor object, this loop calls plainly, and runs what was put off
behind each batch of events. What goes wrong in a descriptor is treated as Twisted does: logged, and
the descriptor dropped.

It brings an eighth of the CPU of an echo 1 by 1, and 2 % 64 by 8 (``python -m benchmarks.by_turns
plain-calls``), without what timers at the ends of turns would cost. It is superfluous once Twisted
calls descriptors without a context, and has something to be called at the end of an iteration. To
read connections here, and to wait again without Twisted's ``mainLoop`` in between, was tried as
well: each brought 1 to 3 %, and is gone.

It is taken only for a reactor whose code is still the code that was compared; with any other
everything works as well, by timers. It is for a process that is the gateway's: lines that others
log from their descriptors lose the ``system`` of Twisted's legacy log.
"""

import errno
from collections.abc import Callable
from typing import Final, Protocol, cast

from twisted.internet.interfaces import IReactorCore
from twisted.logger import Logger

from gnetway.runtime.compared_code import why_not as differs
from gnetway.runtime.turn_end import TurnEnd

#: What this loop stands in for, or knows of, by digests of the source.
_COMPARED: Final = {
    "twisted.internet.epollreactor:EPollReactor.doPoll": "09b62ae68ef01b4b",
    "twisted.internet.posixbase:_PollLikeMixin._doReadOrWrite": "5ffee55b79492b00",
    "twisted.python.log:callWithLogger": "802f8564bca3531f",
    "twisted.internet.base:ReactorBase.mainLoop": "769125a86d0cd7e9",
}


class _Poller(Protocol):
    def poll(self, timeout: float, maxevents: int) -> list[tuple[int, int]]: ...


class _EPollReactor(Protocol):
    """What this module knows of twisted.internet.epollreactor.EPollReactor."""

    _poller: _Poller
    _selectables: dict[int, object]
    doIteration: Callable[[float | None], None]  # noqa: N815

    def _doReadOrWrite(  # noqa: N802
        self, selectable: object, fd: int, event: int
    ) -> None: ...


class EpollLoop:
    """Stands in for ``doPoll`` of one reactor, for as long as somebody wants it."""

    _log = Logger()

    def __init__(self, reactor: _EPollReactor) -> None:
        self._reactor = reactor
        self._turn_ends: list[TurnEnd] = []

    def add(self, turn_end: TurnEnd) -> None:
        """Have ``turn_end`` run behind each batch of events."""
        self._turn_ends.append(turn_end)
        turn_end.drive(True)

    def remove(self, turn_end: TurnEnd) -> None:
        """Take that back; with the last one, Twisted's loop is back as well."""
        if turn_end not in self._turn_ends:
            return
        # Another list: the loop may be going through this one.
        self._turn_ends = [other for other in self._turn_ends if other is not turn_end]
        turn_end.drive(False)
        if not self._turn_ends:
            del self._reactor.doIteration

    def iterate(self, timeout: float | None) -> None:
        """Wait for events, at most ``timeout`` seconds (None: as long as it takes), and act.

        As EPollReactor.doPoll, but for what the head of this file says.
        """
        if self._end_turn():
            # Timers and threads had put this off. What it did may have set timers in turn, of
            # which the timeout knows nothing.
            timeout = 0
        wait = -1 if timeout is None else timeout
        selectables = self._reactor._selectables  # noqa: SLF001 - see the head of the file
        act = self._reactor._doReadOrWrite  # noqa: SLF001
        try:
            events = self._reactor._poller.poll(wait, len(selectables))  # noqa: SLF001
        except OSError as error:
            if error.errno == errno.EINTR:
                return
            raise
        for fd, event in events:
            selectable = selectables.get(fd)
            if selectable is not None:
                try:
                    act(selectable, fd, event)
                except Exception:  # noqa: BLE001 - as Twisted does
                    self._log.failure("a descriptor could not be dropped")
        self._end_turn()

    def _end_turn(self) -> bool:
        """Run what was put off; returns whether there was anything."""
        ended = False
        for turn_end in self._turn_ends:
            if turn_end.waiting:
                ended = True
                turn_end.run()
        return ended


def why_not(reactor: object) -> str:
    """Return why a reactor cannot have this loop, in a few words; empty where it can, or has."""
    if _loop_of(reactor) is not None:
        return ""
    try:
        from twisted.internet.epollreactor import EPollReactor  # noqa: PLC0415 - Linux only
    except ImportError:
        return "this system has no epoll"
    if type(reactor) is not EPollReactor:
        return f"the reactor is {type(reactor).__name__}"
    if "doIteration" in vars(reactor):
        return "the reactor has another loop already"
    return differs(_COMPARED)


def install(reactor: IReactorCore, turn_end: TurnEnd) -> None:
    """Have ``turn_end`` run by the reactor's loop, unless there is a reason ``why_not``.

    Several may be installed in one reactor; each is to be uninstalled.
    """
    loop = _loop_of(reactor)
    if loop is None:
        if why_not(reactor):
            return
        known = cast(_EPollReactor, reactor)
        loop = EpollLoop(known)
        known.doIteration = loop.iterate
    loop.add(turn_end)


def uninstall(reactor: IReactorCore, turn_end: TurnEnd) -> None:
    """Take back ``install``, if it was done."""
    loop = _loop_of(reactor)
    if loop is not None:
        loop.remove(turn_end)


def _loop_of(reactor: object) -> EpollLoop | None:
    """Return the loop that is installed in a reactor."""
    owner = getattr(getattr(reactor, "doIteration", None), "__self__", None)
    return owner if isinstance(owner, EpollLoop) else None
