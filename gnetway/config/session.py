"""Session: where decrypted messages go, and what happens while nobody answers there."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from gnetway.config.addresses import endpoint
from gnetway.config.document import Node
from gnetway.config.etcd import SessionEtcdConfig, session_etcd
from gnetway.config.faults import Rejected
from gnetway.config.reader import section
from gnetway.config.section import Reading, key
from gnetway.config.store import MEMORY, store
from gnetway.config.values import choice, class_name, list_of, optional, whole, whole_or_zero

_MIB: Final = 1024 * 1024

#: The keys of which one says where the session backend is.
_PLACES: Final = ("Embedded", "Etcd", "Endpoints")


class Announce(StrEnum):
    """How a session service hears of a new session."""

    MESSAGE = "message"
    CALL = "call"


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedConfig:
    """Session.Embedded: the session backend in this process.

    ``store`` is the absolute path of an SQLite file, or ``memory``. ``handler`` names the class
    that answers RPC calls; None for the stock one. ``this_dc`` is the number of the data centre
    that clients are told; None for that of Gnetway.StrictDC, or 2. ``max_keys`` is how many keys
    the store has at most.
    """

    store: str = field(metadata=key("Store", store, "", "the path of an SQLite file, or memory"))
    handler: str | None = field(
        default=None, metadata=key("Handler", class_name, "", "the stock one needs no code")
    )

    max_keys: int = field(
        default=1_000_000,
        metadata=key(
            "MaxKeys",
            whole(10_000, 1_000_000_000),
            "auth keys",
            "a file of 0.5 to 1.5 GB; above it keys that never spoke give way first, then those"
            " used longest ago",
        ),
    )
    this_dc: int | None = field(
        default=None,
        metadata=key(
            "ThisDC",
            whole(1, 999),
            "",
            "2, with which stock clients begin, or what Gnetway.StrictDC says",
        ),
    )

    @property
    def in_memory(self) -> bool:
        """Whether keys and salts are lost at the end of the process."""
        return self.store == MEMORY


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldConfig:
    """Session.Hold: what waits while no session node answers."""

    max_messages: int = field(
        default=100_000,
        metadata=key(
            "MaxMessages",
            whole(1, 10_000_000),
            "messages",
            "of all connections; each is read no further meanwhile, so one or two for each of"
            " 50,000",
        ),
    )
    max_bytes: int = field(
        default=0,
        metadata=key(
            "MaxBytes",
            whole_or_zero(_MIB, 16_384 * _MIB),
            "bytes",
            "of all connections; 0 is a sixteenth of Gnetway.Limits.MemoryBudget: of 1 GiB that is"
            " some 670 for each of MaxMessages, or four of the largest packets",
        ),
    )
    seconds: int = field(
        default=30,
        metadata=key(
            "Seconds",
            whole(1, 600),
            "seconds",
            "for one message: three times the lease by which a dead node leaves etcd",
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionConfig:
    """Session: exactly one of ``embedded``, ``etcd`` and ``endpoints`` is there."""

    embedded: EmbeddedConfig | None = field(
        default=None,
        metadata=key("Embedded", section(EmbeddedConfig), "", "the backend in this process"),
    )
    etcd: SessionEtcdConfig | None = field(
        default=None,
        metadata=key("Etcd", optional(session_etcd), "", "session nodes as etcd names them"),
    )
    endpoints: tuple[str, ...] | None = field(
        default=None,
        metadata=key("Endpoints", optional(list_of(endpoint)), "", "session nodes without etcd"),
    )
    announce: Announce = field(
        default=Announce.MESSAGE,
        metadata=key("Announce", choice(Announce), "", "Teamgram's services since March 2026"),
    )
    timeout_milliseconds: int = field(
        default=4_000,
        metadata=key(
            "Timeout",
            whole(100, 600_000),
            "milliseconds",
            "for one call to one node: a slow node and then the next both fit into the 10 s of"
            " Gnetway.Limits.KeyLookupSeconds",
        ),
    )
    max_message_bytes: int = field(
        default=4 * _MIB - 1024,
        metadata=key(
            "MaxMessageBytes",
            whole(1024, 64 * _MIB),
            "bytes",
            "of one client message: what gRPC servers take by default, less the request around it",
        ),
    )
    hold: HoldConfig = field(
        default_factory=HoldConfig,
        metadata=key("Hold", section(HoldConfig), "", "each has its own default"),
    )

    @property
    def is_remote(self) -> bool:
        """Whether the session backend is another process."""
        return self.embedded is None


def session(node: Node, reading: Reading) -> SessionConfig:
    """Read Session, and hold it to one place for the backend."""
    read = section(SessionConfig)(node, reading)
    given = [
        name
        for name, place in zip(_PLACES, (read.embedded, read.etcd, read.endpoints), strict=True)
        if place is not None
    ]
    if len(given) == 1:
        return read
    if not given:
        reading.faults.add(node.line, node.path, "no session backend", f"one of {_named()}")
        raise Rejected
    path = f"{node.path}.{given[-1]}"
    found = f"it beside {' and '.join(given[:-1])}"
    reading.faults.add(reading.lines[path], path, found, f"one of {_named()}")
    raise Rejected


def _named() -> str:
    return ", ".join(_PLACES)
