"""What a client link writes: what leaves when, and what becomes of what cannot.

What the backend sends leaves at the end of the reactor's turn, all of a turn in one write, or as
soon as there is much of it, so that the transport may say that the client does not read. What
comes of reading the client leaves when that was read. While the client does not read, what the
backend sends is kept as it came and counted, and when that is too much, the link is aborted.

In one turn a link writes little more than its share; what is above it is kept as well, and
written in the next turns, so that other clients come between. Encryption is nearly all that it
costs: 6 to 9 ms for a MiB.
"""

from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import Final, Protocol

from twisted.internet.interfaces import IPushProducer
from zope.interface import classImplements

from gnetway.admission.accounts import Holding
from gnetway.connection.packets import PacketOutput
from gnetway.crypto.auth_key import AuthKey
from gnetway.net.link_services import TURN_BYTES, LinkServices

#: So much is joined into one write; longer messages leave one by one, as to copy them costs more.
JOIN_BYTES: Final = 64 * 1024

#: What a message that is kept takes beside its bytes.
_KEPT_OVERHEAD_BYTES: Final = 128


class LinkProtocol(Protocol):
    """The Twisted protocol that a link reads and writes by: TCP's, or WebSocket's."""

    #: Its name before that of the framing, empty for plain TCP.
    carrier: str

    def write(self, packets: list[bytes]) -> None:
        """Send framed packets to the client, each in a piece of its own where there are pieces."""

    def pause_reading(self) -> None:
        """Bring nothing more until ``resume_reading``."""

    def resume_reading(self) -> None:
        """Bring what comes."""

    def end(self, cause: str, told: bool) -> None:
        """Close once all is written; ``told`` where the client was just told why."""

    def abort(self) -> None:
        """Close now."""


class Backlog:
    """What waits in one connection, counted over all by network; ``clear`` ends it.

    It is there while the client does not read, which is when the transport has paused it, or for
    the rest of a turn of the reactor in which the connection has written its share. Messages are
    kept as they came and encrypted when they can be written: for a client that never reads,
    nothing is done. The transport's part is what was last written to it. Before that it had at
    most 64 KiB, which are not counted.

    ``give_way`` is called when too much waits in all connections and this one is to go.
    """

    __slots__ = ("_give_way", "_holding", "_written_bytes", "is_paused", "kept", "kept_bytes")

    def __init__(self, give_way: Callable[[], object]) -> None:
        self._give_way = give_way
        self._holding: Holding | None = None
        self._written_bytes = 0
        self.is_paused = False
        self.kept: deque[tuple[AuthKey, bytes]] = deque()
        self.kept_bytes = 0

    def keep(self, key: AuthKey, plaintext: bytes) -> None:
        """Take a message, the last to be written."""
        self.kept.append((key, plaintext))
        self.kept_bytes += len(plaintext) + _KEPT_OVERHEAD_BYTES

    def take(self) -> tuple[AuthKey, bytes]:
        """Return the message that is to be written first."""
        kept = self.kept.popleft()
        self.kept_bytes -= len(kept[1]) + _KEPT_OVERHEAD_BYTES
        return kept

    def written(self, size: int) -> None:
        """Note that this many bytes were just written, and are what the client does not read."""
        self._written_bytes = size

    def count(self, services: LinkServices, client_ip: str, waiting_bytes: int = 0) -> None:
        """Count what is here, and the bytes that wait to be written; somebody may have to go."""
        size = self._written_bytes + self.kept_bytes + waiting_bytes
        holding = self._holding
        if holding is None:
            if not size:
                return
            account = services.accounts.of(client_ip, services.clock.seconds())
            holding = self._holding = services.unsent.holding(account, self._give_way)
        holding.hold(size)

    def clear(self) -> None:
        """Note that the client has read, or is gone."""
        holding, self._holding = self._holding, None
        if holding is not None:
            holding.clear()


class LinkState(Enum):
    """How far a link has come; it only ever moves on."""

    OPEN = "open"
    #: The end has been decided; what was written may still leave.
    ENDING = "ending"
    LOST = "lost"


class Unread(Enum):
    """What has come from the client, and is not taken yet."""

    NOTHING = "nothing"
    #: Packets wait until nothing holds the link up any more.
    KEPT = "kept"
    #: Packets wait for the link's next turn.
    DUE = "due"


# Looked up once: enums are slow to look up what they have, and each message asks for these.
OPEN: Final = LinkState.OPEN
NOTHING: Final = Unread.NOTHING


class OutputLink(Protocol):
    """The link, as far as its output has to know it."""

    client_ip: str
    state: LinkState

    def abort(self, cause: str) -> None:
        """Close now, and free what is here."""

    def read_on(self) -> None:
        """Read from the client, unless something else forbids it."""


class LinkOutput:
    """Takes what is sent on a link, and writes it by the link's protocol."""

    __slots__ = (
        "_flush_due",
        "_link",
        "_protocol",
        "_services",
        "_turn_bytes",
        "backlog",
        "is_corked",
        "owed_token",
        "packets",
    )

    def __init__(
        self,
        services: LinkServices,
        protocol: LinkProtocol,
        link: OutputLink,
        packets: PacketOutput,
    ) -> None:
        self._services = services
        self._protocol = protocol
        #: None once it is lost: else only a garbage collector would find the two.
        self._link: OutputLink | None = link
        self.packets = packets
        #: Whether nothing is to be written yet: the client's bytes are being read, and all that
        #: comes of them is written at the end.
        self.is_corked = False
        #: Whether the end of this turn will write.
        self._flush_due = False
        #: What was written in this turn, where it was much.
        self._turn_bytes = 0
        #: What is kept for later, None where all may be written.
        self.backlog: Backlog | None = None
        #: The quick ack of the message that the backend is being handed, 0 for none. It leaves in
        #: front of an answer that comes at once, but not before the backend has the message.
        self.owed_token = 0

    def __repr__(self) -> str:
        backlog = self.backlog
        if backlog is None:
            return f"<{self.packets.unsent_bytes} bytes unsent>"
        why = "the client does not read" if backlog.is_paused else "its turn is over"
        return f"<{self.pending_bytes} bytes unsent, {len(backlog.kept)} messages kept: {why}>"

    @property
    def pending_bytes(self) -> int:
        """What waits here to be written."""
        kept_bytes = 0 if self.backlog is None else self.backlog.kept_bytes
        return self.packets.unsent_bytes + kept_bytes

    def send(self, key: AuthKey, plaintext: bytes) -> None:
        """Encrypt and send a message, now or at the end of the turn, or keep it."""
        packets = self.packets
        if self.owed_token:
            self.send_owed_ack()
        if self.backlog is not None:
            self._keep(self.backlog, key, plaintext)
            return
        packets.send_message(key, plaintext)
        if packets.unsent_bytes >= JOIN_BYTES:
            self.flush()
        elif not (self._flush_due or self.is_corked):
            self._flush_due = True
            self._services.turn_end.call(self._turn_ended)

    def send_owed_ack(self) -> None:
        """Send the quick ack of the message that the backend has, or answers, now."""
        token, self.owed_token = self.owed_token, 0
        self.packets.send_quick_ack(token)

    def flush(self) -> None:
        """Write what there is, until the client does not read; then count it."""
        packets = self.packets
        written = 0
        while self.backlog is None:
            waiting = packets.unsent_bytes
            if not waiting:
                if written >= JOIN_BYTES:
                    self._count_turn(written)
                return
            taken = packets.packets_to_send(JOIN_BYTES)
            written += waiting - packets.unsent_bytes
            self._protocol.write(taken)
        if written:
            # The pause came with this, which therefore is what the client does not read.
            self.backlog.written(written)
        self._count_backlog(self.backlog)

    def _count_turn(self, written: int) -> None:
        """Note that much was written in one go; what is above the link's share is kept."""
        self._turn_bytes += written
        services = self._services
        if self._turn_bytes >= TURN_BYTES:
            self.backlog = Backlog(self._give_way)
        if not self._flush_due:
            self._flush_due = True
            has_had_it = self.backlog is not None
            (services.later_turns if has_had_it else services.turn_end).call(self._turn_ended)

    def _turn_ended(self) -> None:
        self._flush_due = False
        self._turn_bytes = 0
        link, backlog = self._link, self.backlog
        if link is None or link.state is not OPEN:
            return
        if backlog is None or backlog.is_paused:
            self.flush()
        else:
            self._write_on(backlog)

    # -- a client that does not read, or has had its turn ---------------------------------------

    def pauseProducing(self) -> None:
        """The transport's buffer is full: write nothing more, and read nothing from the client."""
        if self.backlog is None:
            self.backlog = Backlog(self._give_way)
        self.backlog.is_paused = True
        self._protocol.pause_reading()

    def resumeProducing(self) -> None:
        """The client has read: write what was kept."""
        backlog, link = self.backlog, self._link
        if backlog is None or link is None or link.state is not OPEN:
            self._clear_backlog()
            return
        backlog.is_paused = False
        self._write_on(backlog)

    def stopProducing(self) -> None:
        """The transport is gone; ``lost`` does the rest."""

    def _keep(self, backlog: Backlog, key: AuthKey, plaintext: bytes) -> None:
        waiting_bytes = backlog.kept_bytes + self.packets.unsent_bytes
        if waiting_bytes + len(plaintext) > self._services.limits.max_unsent_bytes:
            # Nothing is done for it any more.
            self._abort("slow_reader")
            return
        if not backlog.kept:
            self._protocol.pause_reading()
        backlog.keep(key, plaintext)
        self._count_backlog(backlog)

    def _count_backlog(self, backlog: Backlog) -> None:
        unsent_bytes = self.packets.unsent_bytes
        if backlog.kept_bytes + unsent_bytes > self._services.limits.max_unsent_bytes:
            self._abort("slow_reader")
        elif self._link is not None:
            backlog.count(self._services, self._link.client_ip, unsent_bytes)

    def _write_on(self, backlog: Backlog) -> None:
        """Write what was kept, as much as a turn allows, until the client does not read."""
        packets = self.packets
        written = 0
        while not backlog.is_paused and written < TURN_BYTES:
            while backlog.kept and packets.unsent_bytes < JOIN_BYTES:
                key, plaintext = backlog.take()
                packets.send_message(key, plaintext)
            waiting = packets.unsent_bytes
            if not waiting:
                self._clear_backlog()
                if self._link is not None:
                    self._link.read_on()
                return
            taken = packets.packets_to_send(JOIN_BYTES)
            written += waiting - packets.unsent_bytes
            self._protocol.write(taken)
        if backlog.is_paused:
            backlog.written(written)
        elif not self._flush_due:
            self._flush_due = True
            self._services.later_turns.call(self._turn_ended)
        self._count_backlog(backlog)

    def _give_way(self) -> None:
        self._abort("slow_reader_total")

    def _abort(self, cause: str) -> None:
        if self._link is not None:
            self._link.abort(cause)

    def _clear_backlog(self) -> None:
        backlog, self.backlog = self.backlog, None
        if backlog is not None:
            backlog.clear()

    def lost(self) -> None:
        """The link is lost: keep nothing, and forget it."""
        self._clear_backlog()
        self._link = None


classImplements(LinkOutput, IPushProducer)
