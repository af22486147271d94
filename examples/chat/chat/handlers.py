"""The methods that a client calls, one for each method of TL."""

from collections.abc import Callable
from typing import Any

from telethon.tl import functions, types
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from chat.store import Message, NameTaken, Store, User
from gnetway.errors import RpcError
from gnetway.events import Events, SessionClosed, SessionOpened
from gnetway.interfaces import IRpcSession, IRpcSessions, RpcCall
from gnetway.routes import route

#: What a client may ask for at once.
MAX_HISTORY = 100

MAX_TEXT = 4096


class Chat:
    """Everything that needs to know who is who.

    Sessions are found by the id of their user: ``sessions.find(user.id)``.
    """

    _log = Logger()

    def __init__(self, store: Store, sessions: IRpcSessions, now: Callable[[], float]) -> None:
        self._store = store
        self._sessions = sessions
        self._now = now

    # -- who one is ----------------------------------------------------------------------------

    @route("account.updateUsername")
    async def take_name(
        self, request: functions.account.UpdateUsernameRequest, call: RpcCall
    ) -> types.User:
        name = request.username
        if not (name.isascii() and name.isidentifier() and 3 <= len(name) <= 32):
            raise RpcError(400, "USERNAME_INVALID")
        try:
            user = await self._store.name(call.perm_auth_key_id, name)
        except NameTaken:
            raise RpcError(400, "USERNAME_OCCUPIED") from None
        call.session.attach_key(user.id)
        return _user(user, is_self=True)

    @route("users.getUsers")
    async def users(
        self, request: functions.users.GetUsersRequest, call: RpcCall
    ) -> list[types.User]:
        me = await self._me(call)
        found = []
        for wanted in request.id:
            if isinstance(wanted, types.InputUserSelf):
                found.append(_user(me, is_self=True))
            elif isinstance(wanted, types.InputUser):
                user = await self._store.by_id(wanted.user_id)
                found.append(types.UserEmpty(wanted.user_id) if user is None else _user(user))
        return found

    @route("contacts.resolveUsername")
    async def find(
        self, request: functions.contacts.ResolveUsernameRequest, call: RpcCall
    ) -> types.contacts.ResolvedPeer:
        await self._me(call)
        user = await self._store.by_name(request.username)
        if user is None:
            raise RpcError(400, "USERNAME_NOT_OCCUPIED")
        return types.contacts.ResolvedPeer(types.PeerUser(user.id), [], [_user(user)])

    @route("updates.getState")
    async def state(
        self, request: functions.updates.GetStateRequest, call: RpcCall
    ) -> types.updates.State:
        await self._me(call)
        return types.updates.State(pts=1, qts=0, date=int(self._now()), seq=0, unread_count=0)

    # -- what is written -----------------------------------------------------------------------

    @route("messages.sendMessage")
    async def send(
        self, request: functions.messages.SendMessageRequest, call: RpcCall
    ) -> types.UpdateShortSentMessage:
        me = await self._me(call)
        other = await self._peer(me, request.peer)
        if not 1 <= len(request.message) <= MAX_TEXT:
            raise RpcError(400, "MESSAGE_TOO_LONG" if request.message else "MESSAGE_EMPTY")
        sent = await self._store.write(me.id, other.id, int(self._now()), request.message)
        self._deliver(sent)
        return types.UpdateShortSentMessage(
            id=sent.id, pts=1, pts_count=1, date=sent.date, out=True
        )

    @route("messages.getHistory")
    async def history(
        self, request: functions.messages.GetHistoryRequest, call: RpcCall
    ) -> types.messages.Messages:
        me = await self._me(call)
        other = await self._peer(me, request.peer)
        limit = max(0, min(request.limit, MAX_HISTORY))
        found = await self._store.between(me.id, other.id, limit)
        return types.messages.Messages(
            messages=[_message(each, me.id) for each in found],
            topics=[],
            chats=[],
            users=[_user(me, is_self=True), _user(other)],
        )

    def _deliver(self, message: Message) -> None:
        """Tell every session of the receiver's; once one of them has it, the sender's too."""
        told = types.UpdateShortMessage(
            id=message.id,
            user_id=message.sender,
            message=message.text,
            pts=1,
            pts_count=1,
            date=message.date,
        )
        for session in self._sessions.find(message.receiver):
            # Who does not acknowledge it asks for the history when it comes back.
            acked = session.push_acked(bytes(told))
            acked.addCallbacks(
                lambda _: Deferred.fromCoroutine(self._delivered(message)), self._not_delivered
            )
            acked.addErrback(lambda failure: self._log.failure("not noted", failure))

    async def _delivered(self, message: Message) -> None:
        await self._store.delivered(message.id)
        read = types.UpdateReadHistoryOutbox(
            peer=types.PeerUser(message.receiver), max_id=message.id, pts=1, pts_count=0
        )
        self._sessions.push_to(message.sender, _update(read, self._now()))

    def _not_delivered(self, failure: Failure) -> None:
        self._log.info("a message waits for its receiver: {why}", why=failure.getErrorMessage())

    # -- the rest ------------------------------------------------------------------------------

    async def _me(self, call: RpcCall) -> User:
        """Return who calls.

        :raises RpcError: it has no name.
        """
        user = await self._store.by_key(call.perm_auth_key_id)
        if user is None:
            raise RpcError(401, "AUTH_KEY_UNREGISTERED")
        # After a restart of this program nobody is attached.
        call.session.attach_key(user.id)
        return user

    async def _peer(self, me: User, peer: object) -> User:
        if isinstance(peer, types.InputPeerSelf):
            return me
        user = None
        if isinstance(peer, types.InputPeerUser):
            user = await self._store.by_id(peer.user_id)
        if user is None:
            raise RpcError(400, "PEER_ID_INVALID")
        return user


class Presence:
    """Tells users who comes and goes, of those that have a name."""

    def __init__(self, sessions: IRpcSessions, now: Callable[[], float]) -> None:
        self._sessions = sessions
        self._now = now

    def watch(self, events: Events) -> None:
        events.subscribe(SessionOpened, self._opened)
        events.subscribe(SessionClosed, self._closed)

    def _opened(self, event: SessionOpened) -> None:
        self._tell(event.perm_auth_key_id, lambda now: types.UserStatusOnline(int(now) + 300))

    def _closed(self, event: SessionClosed) -> None:
        self._tell(event.perm_auth_key_id, lambda now: types.UserStatusOffline(int(now)))

    def _tell(self, auth_key_id: int, status: Callable[[float], Any]) -> None:
        now = self._now()
        for user_id in self._sessions.names(auth_key_id):
            update = types.UpdateUserStatus(user_id, status(now))
            for session in self._others(user_id):
                session.push(_update(update, now))

    def _others(self, user_id: object) -> list[IRpcSession]:
        """Return the sessions of all other users."""
        open_ones = (self._sessions.get(*ids) for ids in self._sessions.session_ids())
        return [
            session
            for session in open_ones
            if session is not None and user_id not in self._sessions.names(session.perm_auth_key_id)
        ]


def _user(user: User, is_self: bool = False) -> types.User:
    # Clients want an access hash; here it keeps nobody out.
    return types.User(
        id=user.id, access_hash=0, is_self=is_self, username=user.username, first_name=user.username
    )


def _message(message: Message, me: int) -> types.Message:
    out = message.sender == me
    return types.Message(
        id=message.id,
        peer_id=types.PeerUser(message.receiver if out else message.sender),
        from_id=types.PeerUser(message.sender),
        date=message.date,
        message=message.text,
        out=out,
    )


def _update(update: Any, now: float) -> bytes:
    return bytes(types.UpdateShort(update, date=int(now)))
