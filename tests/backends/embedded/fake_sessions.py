"""A double of IRpcSessions."""

from dataclasses import dataclass, field

from zope.interface import implementer

from gnetway.interfaces import IRpcSessions


@implementer(IRpcSessions)
@dataclass
class FakeSessions:
    """Keeps what is pushed; knows the sessions it was given."""

    known: list[tuple[int, int]] = field(default_factory=list)
    pushed: list[tuple[int, int, bytes]] = field(default_factory=list)

    def push(self, auth_key_id: int, session_id: int, body: bytes) -> bool:
        self.pushed.append((auth_key_id, session_id, body))
        return (auth_key_id, session_id) in self.known

    def session_ids(self) -> list[tuple[int, int]]:
        return list(self.known)
