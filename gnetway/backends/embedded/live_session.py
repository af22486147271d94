"""A session together with what waits for it: its client, Deferreds, messages before its turn."""

from collections.abc import Callable
from typing import Final, NamedTuple

from gnetway.backends.embedded.client_session import ClientSession
from gnetway.backends.embedded.http_polls import HttpPolls, Poll
from gnetway.backends.embedded.running_call import RunningCall
from gnetway.errors import BackendError
from gnetway.interfaces import SessionClient

#: Messages of one session that may wait until its salts are loaded, or for its turn.
MAX_WAITING_MESSAGES: Final = 256

Done = Callable[[BackendError | None], None]


class WaitingMessage(NamedTuple):
    """A message that came before its salts or its turn; ``poll`` if over HTTP."""

    salt: int
    payload: bytes
    done: Done | None
    poll: Poll | None


class UnfinishedPacket(NamedTuple):
    """A packet of which some messages are still to be taken; ``poll`` if it came over HTTP."""

    done: Done | None
    poll: Poll | None


class LiveSession:
    """One session of the backend, also for a while after its client has gone.

    ``session`` is None until the salts of its key are loaded, which ``loading`` tells. ``calls``
    are those that the handler answers later, by msg_id. While ``holds`` is above 0 nothing is
    delivered, so that all answers of one turn go together. ``polls`` is None while the client
    talks over a connection of its own. ``in_line`` is whether the session waits for its turn;
    ``paused`` is its client if that is not read meanwhile, and ``packet`` whose messages are taken.
    """

    __slots__ = (
        "auth_key_id",
        "calls",
        "client",
        "holds",
        "in_line",
        "loading",
        "packet",
        "paused",
        "polls",
        "session",
        "session_id",
        "waiting",
    )

    def __init__(self, client: SessionClient) -> None:
        self.client = client
        self.auth_key_id = client.key.auth_key_id
        self.session_id = client.session_id
        self.session: ClientSession | None = None
        self.loading = False
        self.holds = 0
        self.polls: HttpPolls | None = None
        self.calls: dict[int, RunningCall] = {}
        self.waiting: list[WaitingMessage] = []
        self.in_line = False
        self.paused: SessionClient | None = None
        self.packet: UnfinishedPacket | None = None

    def cancel_calls(self) -> None:
        """Stop the handler's work for this session."""
        calls, self.calls = self.calls, {}
        for call in calls.values():
            call.cancel()
