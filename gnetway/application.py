"""What an application and the gateway in it have of each other: calls, sessions, handlers.

    a client's call → middleware → IRpcHandler.handle(RpcCall) → rpc_result
                                       RpcCall.session: IRpcSession → pushes, names, context
    IRpcSessions: all sessions, found by ids or by the application's own names

The embedded backend provides the sessions, an application the handler.
"""

# ruff: noqa: N805 (zope interfaces have no self)

from asyncio import Future
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass, field
from typing import Any, Final, cast

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from gnetway.tl.client_info import ClientInfo

#: How long a client may take to acknowledge a push where nobody says otherwise, in seconds: TDLib
#: waits for up to 30 before it does.
ACK_SECONDS: Final = 60.0


class IRpcSession(Interface):
    """One session: an auth key and a session_id. Ids are signed, of 64 bits."""

    auth_key_id: int = Attribute("The key that the client uses in it.")

    session_id: int = Attribute("The client's own number for it.")

    perm_auth_key_id: int = Attribute(
        "The permanent key behind it, 0 for none. It stays when the client changes temporary keys."
    )

    client_ip: str = Attribute("The address of its newest connection.")

    layer: int = Attribute("The API layer that the client named last, 0 for none.")

    client: ClientInfo | None = Attribute(
        "What the client has said of itself by initConnection, proved by nobody; None for nothing."
    )

    is_open: bool = Attribute("Whether it has a connection, or did so a moment ago over HTTP.")

    context: Any = Attribute(
        "The application's own object: what its factory makes when it is first asked for, None"
        " without one. It may be set. It goes when the gateway forgets the session."
    )

    def push(body: bytes) -> bool:
        """See IRpcSessions."""

    def push_acked(body: bytes, seconds: float = ACK_SECONDS) -> Deferred[None]:
        """See IRpcSessions."""

    def attach(name: Hashable) -> None:
        """Have the session found by a name; see ``IRpcSessions.attach``."""

    def attach_key(name: Hashable) -> None:
        """Have all sessions of its permanent key found by a name, those to come as well.

        :raises ValueError: there is no permanent key yet.
        """

    def end(code: int = 0) -> None:
        """End its connections: with a transport error, see TransportError, or with 0 without one.

        The client may come back to the session.
        """


class IRpcSessions(Interface):
    """What a handler may do on its own: the sessions of the embedded backend."""

    def push(auth_key_id: int, session_id: int, body: bytes) -> bool:
        """Send a TL object, e.g. an updates object, to one session.

        Returns False where the session has no connection now, or has too much that waits for its
        next HTTP request.

        :raises TypeError: ``body`` is no bytes.
        :raises ValueError: ``body`` is no TL object of up to 16 MiB - 256 bytes.
        """

    def push_acked(
        auth_key_id: int, session_id: int, body: bytes, seconds: float = ACK_SECONDS
    ) -> Deferred[None]:
        """Push, and fire when the client has acknowledged it.

        Fails with PushFailed, which says why: nobody is there, too many pushes of the session wait
        for their acknowledgement, none came within ``seconds``, the session is over. To cancel it
        is to wait no more: what was pushed stays.

        :raises TypeError: as ``push``.
        :raises ValueError: as ``push``.
        """

    def push_to(name: Hashable, body: bytes) -> int:
        """Push to each session of a name; returns how many have taken it.

        :raises TypeError: as ``push``.
        :raises ValueError: as ``push``.
        """

    def session_ids() -> list[tuple[int, int]]:
        """Return (auth_key_id, session_id) of every open session."""

    def get(auth_key_id: int, session_id: int) -> IRpcSession | None:
        """Return an open session."""

    def find(name: Hashable) -> list[IRpcSession]:
        """Return the open sessions of a name, each once."""

    def attach(name: Hashable, auth_key_id: int, session_id: int = 0) -> None:
        """Have a session found by a name, or with 0 all sessions of a key, now and later.

        Sessions of temporary keys are those of the permanent one, too. A name may have many, and
        each of them many names.

        :raises ValueError: ``auth_key_id`` is 0, or there is no such session.
        :raises TooManyNames: there is no room for another name.
        """

    def detach(name: Hashable, auth_key_id: int, session_id: int = 0) -> None:
        """Take that back; what is not there does no harm."""

    def names(auth_key_id: int, session_id: int = 0) -> list[Hashable]:
        """Return what a session, or with 0 a key, was attached to."""

    def destroy_key(auth_key_id: int) -> Deferred[bool]:
        """End a key as if its client had destroyed it, with the temporary keys bound to it.

        Its clients are told -404 and begin anew. Fires with whether there was such a key; fails
        with BackendUnavailable where the store does.
        """


@dataclass(frozen=True, slots=True)
class RpcCall:
    """A client's call that the embedded backend does not answer by itself.

    ``body`` is the TL object with all its wrappers (invokeWithLayer, gzip_packed…) taken off;
    ``constructor`` its first four bytes as an unsigned number. ``layer`` is the one the client
    last named by invokeWithLayer, in any session of the permanent key and before a restart too; 0
    if it never did. ``local_ip`` is the address that the client came to, empty for a socket in the
    file system. Ids are signed. ``session`` is the session that it came in: in each call that a
    gateway hands out, but for those that a test makes without.
    """

    body: bytes
    constructor: int
    auth_key_id: int
    perm_auth_key_id: int
    session_id: int
    msg_id: int
    layer: int
    client_ip: str
    local_ip: str = ""
    session: IRpcSession = field(default=cast(IRpcSession, None), repr=False, compare=False)


#: The answer to a call: a TL object, or what gives one later. ``handle`` may be ``async def``.
RpcAnswer = bytes | Deferred[bytes] | Coroutine[Any, Any, bytes] | Future[bytes]


class IRpcHandler(Interface):
    """Answers RPC calls; its class is called with an IRpcSessions provider."""

    def handle(call: RpcCall) -> RpcAnswer:
        """Return the TL object to put into rpc_result, at most 16 MiB - 256 bytes.

        A Deferred or future, or what a coroutine awaits, is cancelled when nobody wants the answer
        any more. Under the reactor over asyncio a coroutine is a task, and awaits what it likes.

        :raises RpcError: the client gets it as rpc_error.
        :raises TransportError: the client's connections end with its code. Any other error, and an
            answer that is no TL object, is logged and becomes 500 INTERNAL.
        """


#: Makes a handler that may use the given sessions.
HandlerFactory = Callable[[IRpcSessions], IRpcHandler]

#: Hands a call on, maybe another one than came: to the next middleware, in the end to the handler.
NextHandler = Callable[[RpcCall], Deferred[bytes]]

#: Stands before the handler: answers a call itself, or with what ``NextHandler`` fires with.
Middleware = Callable[[RpcCall, NextHandler], RpcAnswer]

#: Makes the context of a session.
ContextFactory = Callable[[IRpcSession], Any]
