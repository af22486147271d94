"""How many connections there were and how they have ended, and what events tell of one."""

from typing import Final

from gnetway.admission.facts import End, Facts
from gnetway.admission.place import Place
from gnetway.ends import DECODE_ERRORS, Phase, Stage, Who, who_ended
from gnetway.events import ConnectionClosed
from gnetway.metrics import LABEL_END, Series


class ConnectionCounts:
    """Counts connections by their listener's Proto, and ends by who, phase and cause.

    What a client says of itself is no part of any name, or there would be as many as clients like.
    """

    def __init__(self) -> None:
        #: Connections that were let in, and those of them that are gone.
        self.opened: dict[str, int] = {}
        self.closed: dict[str, int] = {}
        self.ends: dict[tuple[Who, Phase, str], int] = {}
        #: Ends by the stage that was reached.
        self.stages: dict[Stage, int] = {}
        #: Ends for what could not be decoded, by carrier and reason.
        self.decode_errors: dict[tuple[str, str], int] = {}

    def let_in(self, port: object) -> None:
        """Count a connection of ``port``, which has the Proto; ``gone`` counts it out again."""
        _count_port(self.opened, port)

    def gone(self, port: object) -> None:
        """Count a connection that has closed."""
        _count_port(self.closed, port)

    def ended(self, end: End) -> None:
        """Count why a connection ends, or was not let in."""
        facts, cause = end.facts, end.cause
        name = (who_ended(cause), facts.phase, cause)
        self.ends[name] = self.ends.get(name, 0) + 1
        self.stages[facts.stage] = self.stages.get(facts.stage, 0) + 1
        reason = DECODE_ERRORS.get(cause)
        if reason is not None:
            error = (_carrier(facts.transport), reason)
            self.decode_errors[error] = self.decode_errors.get(error, 0) + 1

    @property
    def open_now(self) -> int:
        """How many are open."""
        return sum(self.opened.values()) - sum(self.closed.values())

    def totals(self) -> dict[str, Series]:
        """Return all of it, see ``Measures``."""
        return {
            "conn_open": dict(self.opened),
            # Of each that was opened there is one, so that a difference can be taken of them.
            "conn_close": {proto: self.closed.get(proto, 0) for proto in self.opened},
            "connection_ends": {LABEL_END.join(name): n for name, n in self.ends.items()},
            "connection_end_stages": {stage.text: n for stage, n in self.stages.items()},
            "codec_decode_errors": {
                LABEL_END.join(name): n for name, n in self.decode_errors.items()
            },
        }


def _carrier(transport: str) -> str:
    """Return what carries MTProto in a connection, of its transport as facts have it."""
    first = transport.partition(",")[0]
    return first if first in ("websocket", "http") else "tcp"


def _count_port(counts: dict[str, int], port: object) -> None:
    proto: str = getattr(port, "proto", "")
    if proto:
        counts[proto] = counts.get(proto, 0) + 1


#: The end of a connection of which nobody has said why.
_UNTOLD: Final = End("", 0.0, Facts(Stage.ACCEPTED, Phase.ACCEPT, ""))


def closed(place: Place, port: object, now: float) -> ConnectionClosed:
    """Return what is told of a connection of ``port`` that is gone; ``now`` is by its clock."""
    cause, _, facts, detail = place.ended or _UNTOLD
    return ConnectionClosed(
        connection_id=id_of(place),
        address=facts.client_ip,
        listener=shown(port),
        cause=cause,
        detail=detail,
        seconds=now - place.since,
        transport=facts.transport,
        client=facts.client,
    )


def id_of(place: Place) -> int:
    """Return the number of a connection: the microsecond at which it was let in."""
    return round(place.since * 1e6)


def peer_of(transport: object) -> str:
    """Return the other end of the socket as host:port; empty for one in the file system."""
    client: object = getattr(transport, "client", None)
    if isinstance(client, tuple) and len(client) >= 2:
        host, port = client[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return ""


def shown(port: object) -> str:
    """Return the listener as records of its connections name it."""
    return str(getattr(port, "shown", ""))
