"""The sending half of a client link: what leaves when, what becomes of what cannot, and ends.

What the backend sends leaves at the end of the reactor's turn, all of a turn in one write, or as
soon as there is much of it, so that the carrier may say that the client does not read. What
comes of reading the client leaves when that was read. While the client does not read, what the
backend sends is kept as it came and counted, and when that is too much, the link ends.

In one turn a link writes little more than its share; what is above it is kept as well, and
written in the next turns, so that other clients come between. Encryption is nearly all that it
costs: 6 to 9 ms for a MiB.
"""

from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import Final, Protocol

from twisted.internet.interfaces import IDelayedCall

from gnetway.admission.byte_budget import Holding
from gnetway.connection.connection import Connection
from gnetway.crypto.auth_key import AuthKey
from gnetway.net.link_services import LinkServices

# What carries a client link.


class Carrier(Protocol):
    """What a link is carried by: a TCP connection, a WebSocket."""

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


# What waits for a client that does not read, counted over all connections by network.

#: What a message that is kept takes beside its bytes.
_KEPT_OVERHEAD_BYTES: Final = 128


class Backlog:
    """What waits in one connection; ``clear`` ends it.

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


#: So much is joined into one write; longer messages leave one by one, as to copy them costs more.
JOIN_BYTES: Final = 64 * 1024

#: So much is encrypted and written for a link in one turn of the reactor, and one message more.
TURN_BYTES: Final = 256 * 1024

#: What a link may have done in one turn of the reactor: a message counts for 1 and each KiB of it
#: for 1 more. With more than that others come between: a segment of the socket may hold 1,000.
TURN_MESSAGES: Final = 64

#: What counts for so many messages: a step of a key exchange, a look-up, 16 packets answered by
#: the core alone.
EVENT_MESSAGES: Final = 8

#: How long a connection that is ending may take to write what it still has, in seconds.
LINGER_SECONDS: Final = 3.0


class LinkState(Enum):
    """How far a link has come; it only ever moves on."""

    OPEN = "open"
    #: The end has been decided; what was written may still leave.
    ENDING = "ending"
    LOST = "lost"


#: Looked up once: enums are slow to look up what they have, and each message asks for this.
OPEN: Final = LinkState.OPEN


class LinkOutput:
    """The part of a link that writes; ``_backlog`` is there while something is kept for later."""

    __slots__ = (
        "_backlog",
        "_carrier",
        "_connection",
        "_flush_due",
        "_owed_token",
        "_pumping",
        "_services",
        "_state",
        "_timeout",
        "_turn_bytes",
        "client_ip",
        "deadline",
        "wheel_slot",
    )

    def __init__(self, services: LinkServices, carrier: Carrier, client_ip: str) -> None:
        self._services = services
        self._carrier = carrier
        self._connection = Connection(services.setup, address=client_ip)
        self._state = OPEN
        self.client_ip = client_ip
        self._timeout: IDelayedCall | None = None
        #: When the link is late, in the clock's seconds, and its place in the wheel.
        self.deadline = 0.0
        self.wheel_slot = -1
        #: Whether the client's bytes are being read, at the end of which all is written.
        self._pumping = False
        #: Whether the end of this turn will write.
        self._flush_due = False
        #: What was written in this turn, where it was much.
        self._turn_bytes = 0
        self._backlog: Backlog | None = None
        #: The quick ack of the message that the backend is being handed, 0 for none. It leaves in
        #: front of an answer that comes at once, but not before the backend has the message.
        self._owed_token = 0

    def deliver(self, key: AuthKey, plaintext: bytes) -> bool:
        """Encrypt and send a message of the backend; True where it is written, or waits to be.

        False on a link that ends, maybe by it.
        """
        if self._state is not OPEN:
            return False
        connection = self._connection
        if self._owed_token:
            self._send_owed_ack()
        if self._backlog is not None:
            self._keep(self._backlog, key, plaintext)
            return self._state is OPEN
        connection.output.send_message(key, plaintext)
        if connection.output.unsent_bytes >= JOIN_BYTES:
            self._flush()
        elif not (self._flush_due or self._pumping):
            self._flush_due = True
            self._services.turn_end.call(self._turn_ended)
        return self._state is OPEN

    def _send_owed_ack(self) -> None:
        token, self._owed_token = self._owed_token, 0
        self._connection.output.send_quick_ack(token)

    def _turn_ended(self) -> None:
        self._flush_due = False
        self._turn_bytes = 0
        if self._state is not OPEN:
            return
        backlog = self._backlog
        if backlog is None or backlog.is_paused:
            self._flush()
        else:
            self._write_on(backlog)

    def _flush(self) -> None:
        """Write what there is, until the client does not read; then count it."""
        connection = self._connection
        written = 0
        while self._backlog is None:
            waiting = connection.output.unsent_bytes
            if not waiting:
                if written >= JOIN_BYTES:
                    self._count_turn(written)
                return
            packets = connection.output.packets_to_send(JOIN_BYTES)
            written += waiting - connection.output.unsent_bytes
            self._carrier.write(packets)
        if written:
            # It came with this, which therefore is what the client does not read.
            self._backlog.written(written)
        self._count_backlog(self._backlog)

    def _count_turn(self, written: int) -> None:
        """Note that much was written in one go; what is above the link's share is kept."""
        self._turn_bytes += written
        services = self._services
        if self._turn_bytes >= TURN_BYTES:
            self._backlog = Backlog(self._give_way)
        if not self._flush_due:
            self._flush_due = True
            has_had_it = self._backlog is not None
            (services.later_turns if has_had_it else services.turn_end).call(self._turn_ended)

    # -- a client that does not read, or has had its turn ---------------------------------------

    def _begin_backlog(self) -> None:
        if self._backlog is None:
            self._backlog = Backlog(self._give_way)
        self._backlog.is_paused = True

    def _keep(self, backlog: Backlog, key: AuthKey, plaintext: bytes) -> None:
        waiting_bytes = backlog.kept_bytes + self._connection.output.unsent_bytes
        if waiting_bytes + len(plaintext) > self._services.limits.max_unsent_bytes:
            # Nothing is done for it any more.
            self._abort("slow_reader")
            return
        if not backlog.kept:
            self._carrier.pause_reading()
        backlog.keep(key, plaintext)
        self._count_backlog(backlog)

    def _count_backlog(self, backlog: Backlog) -> None:
        unsent_bytes = self._connection.output.unsent_bytes
        if backlog.kept_bytes + unsent_bytes > self._services.limits.max_unsent_bytes:
            self._abort("slow_reader")
        else:
            backlog.count(self._services, self.client_ip, unsent_bytes)

    def _write_on(self, backlog: Backlog) -> None:
        """Write what was kept, as much as a turn allows, until the client does not read."""
        connection = self._connection
        written = 0
        while not backlog.is_paused and written < TURN_BYTES:
            while backlog.kept and connection.output.unsent_bytes < JOIN_BYTES:
                key, plaintext = backlog.take()
                connection.output.send_message(key, plaintext)
            waiting = connection.output.unsent_bytes
            if not waiting:
                self._clear_backlog()
                self._read_on()
                return
            packets = connection.output.packets_to_send(JOIN_BYTES)
            written += waiting - connection.output.unsent_bytes
            self._carrier.write(packets)
        if backlog.is_paused:
            backlog.written(written)
        elif not self._flush_due:
            self._flush_due = True
            self._services.later_turns.call(self._turn_ended)
        self._count_backlog(backlog)

    def _read_on(self) -> None:
        """Read from the client, unless something else forbids it."""
        raise NotImplementedError

    def _clear_backlog(self) -> None:
        backlog, self._backlog = self._backlog, None
        if backlog is not None:
            backlog.clear()

    def _give_way(self) -> None:
        self._abort("slow_reader_total")

    # -- ends ----------------------------------------------------------------------------------

    def _close(self, cause: str, told: bool = False) -> None:
        if self._state is not OPEN:
            return
        self._services.causes.count(cause)
        packets = self._connection.output.packets_to_send()
        self._linger()
        if packets:
            self._carrier.write(packets)
        self._carrier.end(cause, told)

    def _linger(self) -> None:
        """Take nothing more; the connection is aborted if it does not end by itself."""
        self.stop_timeout()
        self._state = LinkState.ENDING
        self._give_up_waits()
        self._services.wheel.remove(self)
        self.deadline = self._services.clock.seconds() + LINGER_SECONDS
        self._services.wheel.add(self)

    def _give_up_waits(self) -> None:
        """Wait for nothing more that others do for the link."""
        raise NotImplementedError

    def _abort(self, cause: str) -> None:
        """Close now, and free what is here."""
        if self._state is OPEN:
            self._services.causes.count(cause)
            self.stop_timeout()
            self._state = LinkState.ENDING
        self._carrier.abort()

    def visited(self, now: float) -> None:
        """Let go of what is not used; now and then, while the deadline is ahead."""
        raise NotImplementedError

    def deadline_passed(self) -> None:
        """Hear that nothing has come in time."""
        if self._state is OPEN:
            spoken = self._connection.whole_messages
            self._close("idle" if spoken else "handshake_timeout")
        else:
            self._carrier.abort()

    def start_timeout(
        self, seconds: float, function: Callable[..., None], *arguments: object
    ) -> None:
        """Call ``function`` when so much time has passed, unless the link ends before."""
        self._timeout = self._services.clock.callLater(seconds, function, *arguments)

    def stop_timeout(self) -> None:
        """Forget the timeout that runs, if any."""
        if self._timeout is not None and self._timeout.active():
            self._timeout.cancel()
        self._timeout = None
