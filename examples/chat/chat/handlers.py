"""The methods that a client calls, one for each method of TL."""

from collections.abc import Callable
from typing import Any

from telethon.tl import functions, types

from chat.store import Message, NameTaken, Store, User
from gnetway.errors import RpcError
from gnetway.events import Events, SessionClosed
from gnetway.interfaces import IRpcSessions, RpcCall
from gnetway.routes import route

#: auth_key_id and session_id.
SessionIds = tuple[int, int]

#: What a client may ask for at once.
MAX_HISTORY = 100

MAX_TEXT = 4096


class Presence:
    """Which sessions a user has, and who comes and goes.

    A session is a user's from its first call on, until its client has left it.
    """

    def __init__(self, sessions: IRpcSessions, events: Events, now: Callable[[], float]) -> None:
        self._sessions = sessions
        self._now = now
        self._users: dict[SessionIds, int] = {}
        events.subscribe(SessionClosed, self._closed)

    def attach(self, user_id: int, call: RpcCall) -> None:
        """Note whose session a call has come in."""
        ids = (call.auth_key_id, call.session_id)
        if self._users.get(ids) != user_id:
            self._users[ids] = user_id
            self._tell(user_id, lambda now: types.UserStatusOnline(int(now) + 300))

    def push(self, user_id: int, body: bytes) -> int:
        """Send an update to a user; returns how many sessions have taken it."""
        ids = [ids for ids, user in self._users.items() if user == user_id]
        return sum(self._sessions.push(*each, body) for each in ids)

    def _closed(self, event: SessionClosed) -> None:
        user_id = self._users.pop((event.auth_key_id, event.session_id), None)
        if user_id is not None and user_id not in self._users.values():
            self._tell(user_id, lambda now: types.UserStatusOffline(int(now)))

    def _tell(self, user_id: int, status: Callable[[float], Any]) -> None:
        now = self._now()
        update = short_update(types.UpdateUserStatus(user_id, status(now)), now)
        for ids, user in self._users.items():
            if user != user_id:
                self._sessions.push(*ids, update)


class Chat:
    """Everything that needs to know who is who."""

    def __init__(self, store: Store, presence: Presence, now: Callable[[], float]) -> None:
        self._store = store
        self._presence = presence
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
        self._presence.attach(user.id, call)
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
        await self._deliver(sent)
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

    async def _deliver(self, message: Message) -> None:
        """Tell every session of the receiver's; where there is one, the sender's too.

        Who has none asks for the history when it comes back.
        """
        told = types.UpdateShortMessage(
            id=message.id,
            user_id=message.sender,
            message=message.text,
            pts=1,
            pts_count=1,
            date=message.date,
        )
        if self._presence.push(message.receiver, bytes(told)):
            await self._store.delivered(message.id)
            read = types.UpdateReadHistoryOutbox(
                peer=types.PeerUser(message.receiver), max_id=message.id, pts=1, pts_count=0
            )
            self._presence.push(message.sender, short_update(read, self._now()))

    # -- the rest ------------------------------------------------------------------------------

    async def _me(self, call: RpcCall) -> User:
        """Return who calls.

        :raises RpcError: it has no name.
        """
        user = await self._store.by_key(call.perm_auth_key_id)
        if user is None:
            raise RpcError(401, "AUTH_KEY_UNREGISTERED")
        self._presence.attach(user.id, call)
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


def short_update(update: Any, now: float) -> bytes:
    """Return an update as it is pushed."""
    return bytes(types.UpdateShort(update, date=int(now)))
