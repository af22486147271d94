"""Shorter ways through Twisted than its own, by its private parts.

Each is taken only where the code that it stands in for is still the code that was compared, by
digests of the source, whatever the version is called; everything works without, for more CPU.

    ``install_loop``   a loop in place of the poll of Twisted's epoll reactor
    ``try_write``      bytes offered to the kernel before Twisted's own buffers have them
    ``read_more``      reads of 96 KiB from who sends much
"""

import errno
import hashlib
import socket
from collections.abc import Callable, Mapping
from importlib import import_module
from inspect import getblock
from types import FunctionType
from typing import Final, Protocol, cast

from twisted.internet import tcp, unix
from twisted.internet.abstract import FileDescriptor
from twisted.internet.interfaces import IReactorCore, ITransport
from twisted.internet.tcp import Client, Server
from twisted.logger import Logger
from twisted.python.failure import Failure

from gnetway.runtime.clocks import TurnEnd

#: Digits of a digest that are kept: accidents are to be found, nobody forges a library.
_DIGITS = 16


def differing(compared: Mapping[str, str]) -> list[str]:
    """Return the functions whose source has another digest than the one beside it.

    The keys are ``module:qualified.name``. A function that is not there, or whose source is not,
    counts as another.
    """
    files: dict[str, list[str]] = {}
    return [name for name, digest in compared.items() if _digest(name, files) != digest]


def differs(compared: Mapping[str, str]) -> str:
    """Return what is not as it was compared, in a few words; empty where all is."""
    others = differing(compared)
    if not others:
        return ""
    more = f" and {len(others) - 1} more" if others[1:] else ""
    return f"{others[0].replace(':', '.')}{more} is not the code that was compared"


def _digest(name: str, files: dict[str, list[str]]) -> str:
    """Return the digest of a function's source, with the lines of its ``files`` kept there.

    inspect.getsource would keep them for good, half a MiB.
    """
    module, _, path = name.partition(":")
    try:
        found: object = import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
        code = cast(FunctionType, found).__code__
        if code.co_filename not in files:
            with open(code.co_filename, encoding="utf-8") as file:
                files[code.co_filename] = file.readlines()
    except (ImportError, AttributeError, OSError):
        return ""
    source = "".join(getblock(files[code.co_filename][code.co_firstlineno - 1 :]))
    return hashlib.sha256(source.encode()).hexdigest()[:_DIGITS]


#: What the loop stands in for, or knows of, by digests of the source.
_LOOP_COMPARED: Final = {
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
    """Stands in for ``doPoll`` of one reactor, for as long as somebody wants it.

    Twisted wraps each event of a socket in a copied logging context, 2 to 3 microseconds that the
    gateway's own log has no use for, and it knows no end of a turn but a timer of no time. This
    loop calls plainly, and runs what was put off behind each batch of events. What goes wrong in a
    descriptor is treated as Twisted does: logged, and the descriptor dropped.

    It brings an eighth of the CPU of an echo 1 by 1, and 2 % 64 by 8 (``python -m
    benchmarks.by_turns plain-calls``), without what timers at the ends of turns would cost. It is
    superfluous once Twisted calls descriptors without a context, and has something to be called at
    the end of an iteration. To read connections here, and to wait again without Twisted's
    ``mainLoop`` in between, was tried as well: each brought 1 to 3 %, and is gone.

    It is for a process that is the gateway's: lines that others log from their descriptors lose the
    ``system`` of Twisted's legacy log.
    """

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


def why_no_loop(reactor: object) -> str:
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
    return differs(_LOOP_COMPARED)


def install_loop(reactor: IReactorCore, turn_end: TurnEnd) -> None:
    """Have ``turn_end`` run by the reactor's loop, unless there is a reason ``why_no_loop``.

    Several may be installed in one reactor; each is to be uninstalled.
    """
    loop = _loop_of(reactor)
    if loop is None:
        if why_no_loop(reactor):
            return
        known = cast(_EPollReactor, reactor)
        loop = EpollLoop(known)
        known.doIteration = loop.iterate
    loop.add(turn_end)


def uninstall_loop(reactor: IReactorCore, turn_end: TurnEnd) -> None:
    """Take back ``install_loop``, if it was done."""
    loop = _loop_of(reactor)
    if loop is not None:
        loop.remove(turn_end)


def _loop_of(reactor: object) -> EpollLoop | None:
    """Return the loop that is installed in a reactor."""
    owner = getattr(getattr(reactor, "doIteration", None), "__self__", None)
    return owner if isinstance(owner, EpollLoop) else None


#: What Twisted reads at once, in bytes; who sends as much in one go may have more to send.
USUAL_BYTES: Final = FileDescriptor.bufferSize

#: What is read at once from who sends much, in bytes. It stays below the size from which glibc,
#: left to itself, asks the system for each block anew.
LARGE_BYTES: Final = 96 * 1024


def read_more(transport: object) -> None:
    """Have more read at once from now on, if the transport is a socket of Twisted's.

    Twisted reads 64 KiB at a time, so that a message of 64 KiB, which is a little more with all
    that is around it, comes in two pieces: two events and two system calls, and a copy to join
    them. With 96 KiB instead of 64 a message of 64 KiB that comes costs 6 % less CPU, by turns in
    one process (rows bulk-64-up of ``make bench``); one that goes costs the same.

    It also is what such a transport keeps unsent before it pauses its producer.
    """
    if isinstance(transport, FileDescriptor):
        transport.bufferSize = LARGE_BYTES


class Leaving(Protocol):
    """Hears of the end of a connection."""

    def left(self) -> None:
        """Hear that the connection is gone."""

    def gone(self, transport: "ClientTransport | UnixClientTransport", tcp_info: bytes) -> None:
        """Hear, after whoever serves it, that it is; ``tcp_info`` is the kernel's record of it."""


class _Nobody:
    def left(self) -> None:
        """See Leaving."""

    def gone(self, transport: "ClientTransport | UnixClientTransport", tcp_info: bytes) -> None:
        """See Leaving."""


#: As much of the kernel's struct tcp_info as is read: with the bytes of both directions.
_TCP_INFO_BYTES: Final = 136


def read_tcp_info(connected: socket.socket) -> bytes:
    """Return the kernel's struct tcp_info of a connection, empty for a socket that has none."""
    try:
        return connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    except OSError:
        return b""


class ClientTransport(tcp.Server):
    """The transport of a client's TCP connection; its ``place`` hears of its end."""

    place: Leaving = _Nobody()

    def connectionLost(self, reason: Failure) -> None:
        """See tcp.Server."""
        place = self.place
        place.left()
        # Twisted closes the socket first.
        tcp_info = read_tcp_info(self.socket)
        super().connectionLost(reason)
        place.gone(self, tcp_info)


class UnixClientTransport(unix.Server):
    """The same for a socket in the file system."""

    place: Leaving = _Nobody()

    def connectionLost(self, reason: Failure) -> None:
        """See unix.Server."""
        place = self.place
        place.left()
        super().connectionLost(reason)
        place.gone(self, b"")


#: Why nothing is sent so here, in a few words; empty where it is.
WHY_NOT_TRIED: Final = differs(
    {
        "twisted.internet.abstract:FileDescriptor.write": "3e46c97fc173bc7e",
        "twisted.internet.abstract:FileDescriptor.doWrite": "a986d7b1b1054e43",
        "twisted.internet.tcp:Connection.writeSomeData": "2dd0d4209260b94e",
        "twisted.internet.tcp:Connection.connectionLost": "dd7a9a87035a2084",
    }
)

#: The classes that are known; another subclass may do anything.
_KNOWN: Final[frozenset[type]] = frozenset(
    () if WHY_NOT_TRIED else (Server, Client, ClientTransport)
)


def try_write(transport: ITransport, data: bytes) -> None:
    """Write ``data`` behind all that was written before: by ``send`` if nothing waits.

    Twisted's ``write`` keeps the bytes until the kernel says that the socket has room, which costs
    two system calls to ask and an event to hear it, and it nearly always has. Here they are offered
    to the kernel first. What it does not take goes the usual way, and so does everything behind
    that, since this looks at the transport's own buffers: nothing overtakes, and producers are
    paused as ever. Only for Twisted's own TCP transports, without TLS; all others are written to as
    usual.

    It brings a fifth of the CPU of an echo 1 by 1, and a twentieth 64 by 8 (``python -m
    benchmarks.by_turns write``). A Twisted that offers data to the kernel before it asks for an
    event would make it superfluous.

    Everything that may overtake or be overtaken has to be written by this function or by the
    transport's own ``write``.
    """
    if type(transport) in _KNOWN:
        known: Server = transport  # type: ignore[assignment] # a cast is a call, and calls count
        if not (
            known.dataBuffer
            or known._tempDataBuffer  # noqa: SLF001 - see the head of the file
            or known.TLS
            or known._aborting  # noqa: SLF001
            or not known.connected
        ):
            try:
                sent = known.socket.send(data)
            except OSError:
                pass  # full, or broken; which, Twisted finds out by its own writing
            else:
                if sent == len(data):
                    return
                data = data[sent:]
    transport.write(data)
