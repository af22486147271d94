"""What a handler may do on its own."""

from zope.interface import implementer

from gnetway.backends.embedded.directory import SessionDirectory
from gnetway.backends.embedded.runner import SessionRunner
from gnetway.backends.embedded.tl_object import tl_object
from gnetway.interfaces import IRpcSessions
from gnetway.runtime.wall_clock import WallClock


@implementer(IRpcSessions)
class RpcSessions:
    """The open sessions of a backend."""

    def __init__(self, wall: WallClock, directory: SessionDirectory, runner: SessionRunner) -> None:
        self._wall = wall
        self._directory = directory
        self._runner = runner

    def push(self, auth_key_id: int, session_id: int, body: bytes) -> bool:
        """Send a TL object to one session; it is kept until the client acknowledges it.

        Returns False where the session has no connection now, has not spoken yet, or has too much
        that waits for its next HTTP request.

        :raises TypeError: ``body`` is no bytes.
        :raises ValueError: ``body`` cannot be a TL object, or is too large for a packet.
        """
        body = tl_object(body)
        live = self._directory.find(auth_key_id, session_id)
        if live is None or live.session is None or live.session.out.is_full:
            return False
        live.session.push(body, self._wall())
        self._runner.deliver(live, live.session)
        return True

    def session_ids(self) -> list[tuple[int, int]]:
        """Return (auth_key_id, session_id) of every open session."""
        return self._directory.ids()
