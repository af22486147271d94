"""Handlers that read like those of a web framework: a method of a class for a method of TL.

    class Help:
        @route("help.getInviteText")
        async def invite(self, request, call):
            return types.help.InviteText("Come along")

    make_gateway(config, reactor, handler=lambda sessions: Routes(Help(), Chats(sessions)))

    call → by its constructor → body read by the codec → method → its object written by the codec

Every name is a constructor of one schema, and so of one layer: ``codec`` has it. By default that is
Telethon's, which the extra ``tl`` brings. A route by number has the bytes of the call, whatever the
schema is, and needs no codec.

A client speaks its own layer, and constructors are what two layers agree upon: one whose fields
have changed has another number. So what a client of another layer sends is either read as it was
meant, or not at all: a method with another number is not served, unless it has a route by number,
and an unknown constructor inside goes to the route ``"*"``, as bytes, or is refused. What is
answered has the numbers of the codec's layer, and a client can read it if its own layer has the
same; where it has not, a second route ``until`` that layer answers in bytes.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from difflib import get_close_matches
from struct import error as StructError  # noqa: N812 - as other errors are written
from typing import Any, Final, NamedTuple, Protocol, TypeVar
from zlib import crc32

from twisted.internet.defer import Deferred
from zope.interface import implementer

from gnetway.backends.embedded.handler import not_served
from gnetway.errors import ConfigError, RpcError, TLError
from gnetway.interfaces import IRpcHandler, RpcAnswer, RpcCall
from gnetway.tl.primitives import Constructor, TooManyItems, pack_int32, pack_uint32

F = TypeVar("F", bound=Callable[..., object])

#: The route of what no other route takes.
REST: Final = "*"

#: Above every layer: a layer has 16 bits.
_NEWEST: Final = 0xFFFF

#: Where ``route`` leaves its notes.
_MARK: Final = "__gnetway_routes__"

#: What is read of one call, which a client fills: a part of a file has 512 KiB, and so many objects
#: take a tenth of a second, for which everybody waits. A larger call gets INPUT_REQUEST_TOO_LONG.
MAX_READ_BYTES: Final = 1024 * 1024
MAX_READ_OBJECTS: Final = 4096
MAX_READ_DEPTH: Final = 32

_BOOL: Final = {
    True: pack_uint32(Constructor.BOOL_TRUE),
    False: pack_uint32(Constructor.BOOL_FALSE),
}


class UnknownConstructor(TLError):
    """A constructor that the codec's schema does not have; ``number`` is unsigned."""

    def __init__(self, number: int) -> None:
        super().__init__(f"constructor {number:#010x} is in no schema that is known here")
        self.number = number


class TlCodec(Protocol):
    """The objects of one schema, from bytes and into them."""

    #: Its layer.
    layer: int

    def methods(self) -> dict[str, int]:
        """Return the methods by name, as ``help.getConfig``, with their constructors."""

    def decode(self, body: bytes) -> object:
        """Return a call's object.

        :raises UnknownConstructor: one in it is not known.
        :raises TooManyItems: it is larger than a call may be.
        :raises TLError: it does not follow its type.
        """

    def encode(self, value: object) -> bytes:
        """Return an object's bytes.

        :raises TypeError: it is no object of this codec's.
        """


class _Mark(NamedTuple):
    """What one ``route`` says."""

    method: str | int
    since: int
    until: int


class _Route(NamedTuple):
    """A method, and the clients it is for; ``reads`` says whether it has objects, or bytes."""

    call: Callable[[Any, RpcCall], object]
    since: int
    until: int
    reads: bool
    place: str


def route(method: str | int, *, since: int = 0, until: int = _NEWEST) -> Callable[[F], F]:
    """Have a method or function answer a TL method: ``answer(request, call)``.

    ``method`` is a name as ``help.getConfig``, whose ``request`` is the codec's object, or the
    constructor's number, whose ``request`` is the call's bytes with that constructor; ``"*"`` takes
    all that no other route takes, as bytes. It is for clients of the layers ``since`` to ``until``,
    both of them included; a client that has named none has layer 0. It may be given several times.

    The answer is an object of the codec's, a bool, a list of objects, or bytes: a TL object as it
    stands. Or a Deferred, a coroutine or a future of one of them. RpcError becomes rpc_error.
    """

    def mark(function: F) -> F:
        function.__dict__.setdefault(_MARK, []).append(_Mark(method, since, until))
        return function

    return mark


@implementer(IRpcHandler)
class Routes:
    """Answers calls by the routes that ``parts`` have: objects, modules, or functions themselves.

    :raises ConfigError: a name that the codec's schema does not have, two routes for the same
        calls, a method that takes other than request and call, or no package for the codec.
    """

    def __init__(self, *parts: object, codec: TlCodec | None = None) -> None:
        self._codec = codec
        self._numbers: dict[str, int] | None = None
        self._routes: dict[int | None, list[_Route]] = {}
        faults: list[str] = []
        for mark, function, place in _marked(parts):
            try:
                self._add(mark, function, place)
            except ConfigError as error:
                faults += error.faults
        if faults:
            # One for each name would be needless where there is no codec at all.
            raise ConfigError(list(dict.fromkeys(faults)))

    @property
    def layer(self) -> int:
        """The layer whose objects are read and written; 0 where all routes are by number."""
        return 0 if self._codec is None else self._codec.layer

    def handle(self, call: RpcCall) -> RpcAnswer:
        """Return the answer.

        :raises RpcError: what the route raises; 400 INPUT_CONSTRUCTOR_INVALID, INPUT_FETCH_ERROR
            or INPUT_REQUEST_TOO_LONG for a body that cannot be read; without a route what
            ``not_served`` has.
        """
        taken = self._find(call.constructor, call.layer)
        request: object = call.body
        if taken is not None and taken.reads:
            taken, request = self._read(taken, call)
        if taken is None:
            raise not_served(call.constructor)
        return self._answer(taken.call(request, call))

    def _find(self, number: int | None, layer: int) -> _Route | None:
        for found in self._routes.get(number, ()):
            if found.since <= layer <= found.until:
                return found
        return None if number is None else self._find(None, layer)

    def _read(self, taken: _Route, call: RpcCall) -> tuple[_Route, object]:
        assert self._codec is not None, "a route by name has one"
        try:
            return taken, self._codec.decode(call.body)
        except UnknownConstructor:
            rest = self._find(None, call.layer)
            if rest is None:
                raise RpcError(400, "INPUT_CONSTRUCTOR_INVALID") from None
            return rest, call.body
        except TooManyItems:
            raise RpcError(400, "INPUT_REQUEST_TOO_LONG") from None
        except TLError:
            raise RpcError(400, "INPUT_FETCH_ERROR") from None

    def _answer(self, result: object) -> RpcAnswer:
        if isinstance(result, Coroutine) or asyncio.isfuture(result):
            return self._later(result)
        if isinstance(result, Deferred):
            return result.addCallback(self._encode)
        return self._encode(result)

    async def _later(self, result: Awaitable[object]) -> bytes:
        return self._encode(await result)

    def _encode(self, value: object) -> bytes:
        if isinstance(value, bytes):
            return value
        if isinstance(value, bool):
            return _BOOL[value]
        if isinstance(value, list):
            return (
                pack_uint32(Constructor.VECTOR)
                + pack_int32(len(value))
                + b"".join([self._encode(item) for item in value])
            )
        if self._codec is None:
            raise TypeError(f"{type(value).__name__} is no bytes, and there is no codec")
        return self._codec.encode(value)

    # -- the table -----------------------------------------------------------------------------

    def _add(self, mark: _Mark, function: Callable[[Any, RpcCall], object], place: str) -> None:
        name = mark.method if isinstance(mark.method, str) else f"{mark.method:#010x}"
        number = None if name == REST else self._number(mark.method, place)
        try:
            inspect.signature(function).bind("request", "call")
        except TypeError as error:
            found = f"cannot be called with two arguments, request and call: {error}"
            raise ConfigError([f"{place}, route {name}: {found}"]) from None
        reads = isinstance(mark.method, str) and name != REST
        added = _Route(function, mark.since, mark.until, reads, place)
        others = self._routes.setdefault(number, [])
        for other in others:
            if other.since <= added.until and added.since <= other.until:
                found = f"{other.place} answers the same calls"
                raise ConfigError([f"{place}, route {name}: {found}"])
        others.append(added)

    def _number(self, method: str | int, place: str) -> int:
        if isinstance(method, int):
            return method
        if self._numbers is None:
            self._codec = self._codec or TelethonCodec()
            self._numbers = self._codec.methods()
        number = self._numbers.get(method)
        if number is None:
            near = get_close_matches(method, self._numbers, 1)
            meant = f"; {near[0]} is one" if near else ""
            layer = f"layer {self.layer} has no such method{meant}"
            raise ConfigError([f"{place}, route {method}: {layer}"])
        return number


def _marked(
    parts: Iterable[object],
) -> Iterator[tuple[_Mark, Callable[[Any, RpcCall], object], str]]:
    """Yield what ``route`` has marked, with what is called, and its name in faults."""
    for part in parts:
        for name in ("", *dir(part)):
            # Not getattr: a property of somebody's class may do anything.
            found = inspect.getattr_static(part, name, None) if name else part
            function: Any = getattr(found, "__func__", found)
            marks = getattr(function, "__dict__", {}).get(_MARK, ()) if callable(function) else ()
            for mark in marks:
                place = f"{function.__module__}.{function.__qualname__}"
                yield mark, getattr(part, name) if name else function, place


class TelethonCodec:
    """The objects of Telethon 1.x: ``telethon.tl.functions`` come, ``telethon.tl.types`` go.

    :raises ConfigError: the package is not there.
    """

    def __init__(self) -> None:
        try:
            from telethon.extensions import BinaryReader  # noqa: PLC0415 - an extra
            from telethon.tl import alltlobjects  # noqa: PLC0415
            from telethon.tl.tlobject import TLObject, TLRequest  # noqa: PLC0415
        except ImportError as error:
            missing = "routes by name need Telethon, which is not there: `pip install gnetway[tl]`"
            raise ConfigError([f"{missing} ({error})"]) from error
        self.layer: int = alltlobjects.LAYER
        self._classes: dict[int, Any] = alltlobjects.tlobjects
        self._request = TLRequest
        self._object = TLObject
        self._reader = _bounded(BinaryReader, self._classes)
        #: The numbers of types, which are made of their names, and the namespaces of these.
        self._kinds = {found.SUBCLASS_OF_ID for found in self._classes.values()}
        self._rooms = {found.__module__.rpartition(".")[2] for found in self._classes.values()}
        self._fields: dict[type, list[tuple[str, frozenset[int]]]] = {}

    def methods(self) -> dict[str, int]:
        """See TlCodec."""
        named: dict[str, int] = {}
        for number, found in self._classes.items():
            if issubclass(found, self._request):
                room = found.__module__.partition(".functions")[2].lstrip(".")
                name = found.__name__.removesuffix("Request")
                name = name[0].lower() + name[1:]
                named[f"{room}.{name}" if room else name] = number
        return named

    def decode(self, body: bytes) -> object:
        """See TlCodec."""
        if len(body) > MAX_READ_BYTES:
            raise TooManyItems(len(body), MAX_READ_BYTES)
        reader = self._reader(body)
        try:
            request: object = reader.tgread_object()
        except TLError:
            raise
        except (BufferError, RuntimeError, StructError, IndexError) as error:
            # Telethon's own words may have the client's bytes in them.
            raise TLError(f"{type(error).__name__} while a call was read") from None
        if reader.tell_position() != len(body):
            raise TLError("a call has bytes behind its end")
        if not isinstance(request, self._request):
            raise TLError("what is no call of a method")
        self._check(request)
        return request

    def encode(self, value: object) -> bytes:
        """See TlCodec."""
        if not isinstance(value, self._object):
            raise TypeError(f"{type(value).__name__} is no object of Telethon's, and no bytes")
        return bytes(value)

    def _check(self, value: object) -> None:
        """Find objects of another type than the schema has in their place, which all are read."""
        for name, kinds in self._fields_of(type(value)):
            held = getattr(value, name)
            for item in held if isinstance(held, list) else (held,):
                if item is None:
                    continue
                if getattr(item, "SUBCLASS_OF_ID", None) not in kinds:
                    raise TLError(f"an object of another type where {name} belongs")
                self._check(item)

    def _fields_of(self, kind: type) -> list[tuple[str, frozenset[int]]]:
        """Return the fields of a class that are objects, with the types that each may have."""
        found = self._fields.get(kind)
        if found is None:
            found = self._fields[kind] = []
            for name, parameter in inspect.signature(kind).parameters.items():
                # 'TypePeer', List['TypePeer'], Optional[ForwardRef('TypePeer')] …
                _, _, rest = repr(parameter.annotation).partition("'Type")
                kind_name = rest.partition("'")[0]
                # X is any type: the query of a wrapper.
                if kind_name not in ("", "X"):
                    # Without its namespace; where two have the name, either will do.
                    named = (kind_name, *(f"{room}.{kind_name}" for room in self._rooms))
                    kinds = frozenset(crc32(full.encode()) for full in named) & self._kinds
                    if kinds:
                        found.append((name, kinds))
        return found


def _bounded(base: Any, classes: dict[int, Any]) -> Any:
    """Return Telethon's reader with bounds, and without what a gateway has taken off already.

    Its own unpacks gzip_packed without a bound, and takes containers for objects.
    """

    class BoundedReader(base):  # type: ignore[misc]
        def __init__(self, data: bytes) -> None:
            super().__init__(data)
            self._objects = 0
            self._depth = 0

        def tgread_object(self) -> object:
            number: int = self.read_int(signed=False)
            self._objects += 1
            self._depth += 1
            if self._objects > MAX_READ_OBJECTS or self._depth > MAX_READ_DEPTH:
                raise TooManyItems(self._objects, MAX_READ_OBJECTS)
            found = classes.get(number)
            value: object
            if found is not None:
                value = found.from_reader(self)
            elif number == Constructor.VECTOR:
                value = [self.tgread_object() for _ in range(self.read_int())]
            elif number in (Constructor.BOOL_TRUE, Constructor.BOOL_FALSE):
                value = number == Constructor.BOOL_TRUE
            else:
                raise UnknownConstructor(number)
            self._depth -= 1
            return value

    return BoundedReader
