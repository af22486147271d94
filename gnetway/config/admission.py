"""Gnetway.Admission: what a network may have, and which may have nothing."""

from dataclasses import dataclass, field, fields, replace
from typing import Any, Final

from gnetway.config.addresses import Network, network
from gnetway.config.reader import section
from gnetway.config.values import flag, key, list_of, optional, whole

_MAX_COUNT: Final = 10_000_000


#: Numbers that say how long, not how many: each process has them whole.
_WHOLE: Final = frozenset(("wait_seconds",))


def _shared_out(bounds: "NetworkConfig | AdmissionConfig", count: int) -> dict[str, Any]:
    """Return one part of so many of each number, rounded up; 0 stays what it means."""
    numbers = {item.name: getattr(bounds, item.name) for item in fields(bounds)}
    return {
        name: -(-number // count)
        for name, number in numbers.items()
        if type(number) is int and name not in _WHOLE
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConfig:
    """Bounds of some networks; what is left out is as for all others, 0 is no bound."""

    networks: tuple[Network, ...] = field(
        metadata=key("Networks", list_of(network), "", "a list of networks or addresses")
    )
    exempt: bool = field(
        default=False,
        metadata=key("Exempt", flag, "", "true: no bound, and it never gives way to others"),
    )
    connections_per_address: int | None = field(
        default=None,
        metadata=key(
            "ConnectionsPerAddress", whole(0, _MAX_COUNT), "connections", "as for all others"
        ),
    )
    half_open_per_address: int | None = field(
        default=None,
        metadata=key(
            "HalfOpenPerAddress", whole(0, _MAX_COUNT), "connections", "as for all others"
        ),
    )
    new_connections_per_second: int | None = field(
        default=None,
        metadata=key(
            "NewConnectionsPerSecond", whole(0, _MAX_COUNT), "connections", "as for all others"
        ),
    )
    new_connections_burst: int | None = field(
        default=None,
        metadata=key(
            "NewConnectionsBurst", whole(1, _MAX_COUNT), "connections", "as for all others"
        ),
    )

    def share(self, count: int) -> "NetworkConfig":
        """Return the share of one of so many processes."""
        return replace(self, **_shared_out(self, count))


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionConfig:
    """Bounds on connections, in all and for each address, and on what else an address may take.

    An address is an IPv6 /64 too.
    """

    connections: int = field(
        default=0,
        metadata=key(
            "Connections",
            whole(0, _MAX_COUNT),
            "connections",
            "in all; 0 is what the limit of open files leaves, less a sixteenth and at least 64 of"
            " it for the store, gRPC, etcd and the log, and it is never more",
        ),
    )
    half_open: int = field(
        default=0,
        metadata=key(
            "HalfOpen",
            whole(0, _MAX_COUNT),
            "connections",
            "in all, that have used no key yet; 0 is half of Connections: even a crowd that comes"
            " at once is past that in seconds, and a flood leaves half to clients that are known",
        ),
    )
    connections_per_address: int = field(
        default=0,
        metadata=key(
            "ConnectionsPerAddress",
            whole(0, _MAX_COUNT),
            "connections",
            "0 is three quarters of Connections: behind carrier-grade NAT one address has thousands"
            " of phones of 3 to 8 connections, and where all is full, it gives way to others",
        ),
    )
    half_open_per_address: int = field(
        default=0,
        metadata=key(
            "HalfOpenPerAddress",
            whole(0, _MAX_COUNT),
            "connections",
            "0 is a quarter of Connections, at most 4096: as many as a NAT's clients that come back"
            " at once after a restart",
        ),
    )
    new_connections_per_second: int = field(
        default=500,
        metadata=key(
            "NewConnectionsPerSecond",
            whole(0, _MAX_COUNT),
            "connections",
            "of one address, for long; thousands of phones make some dozens. 0 is no bound",
        ),
    )
    new_connections_burst: int = field(
        default=10_000,
        metadata=key(
            "NewConnectionsBurst",
            whole(1, _MAX_COUNT),
            "connections",
            "of one address, at once: a NAT's clients that come back after a restart",
        ),
    )
    wait_seconds: int = field(
        default=5,
        metadata=key(
            "WaitSeconds",
            whole(0, 60),
            "seconds",
            "a connection above the rate may wait for its turn; clients give up after 8 to 15",
        ),
    )
    exchanges_per_second: int = field(
        default=100,
        metadata=key(
            "ExchangesPerSecond",
            whole(0, _MAX_COUNT),
            "key exchanges",
            "of one address, for long: 10,000 phones behind carrier-grade NAT make 3 keys a day"
            " each, one in 3 seconds; a core makes some 800 a second, so an attacker takes an"
            " eighth of one. 0 is no bound",
        ),
    )
    exchange_burst: int = field(
        default=10_000,
        metadata=key(
            "ExchangeBurst",
            whole(1, _MAX_COUNT),
            "key exchanges",
            "of one address at once, before that rate counts: thousands of clients behind it that"
            " lost their keys together; 12 seconds of a core, at which other addresses take turns",
        ),
    )
    unknown_keys_per_second: int = field(
        default=20,
        metadata=key(
            "UnknownKeysPerSecond",
            whole(0, _MAX_COUNT),
            "auth keys",
            "of one address that the session service does not know: each costs it a call, and an"
            " honest client has one when its key has ended, and makes another. 0 is no bound",
        ),
    )
    unknown_key_burst: int = field(
        default=100,
        metadata=key(
            "UnknownKeyBurst",
            whole(1, _MAX_COUNT),
            "auth keys",
            "of one address at once, before that rate counts; so many keys that are not at hand"
            " are asked for at a time, known or not",
        ),
    )
    allow: tuple[Network, ...] | None = field(
        default=None,
        metadata=key("Allow", optional(list_of(network)), "", "every network may connect"),
    )
    deny: tuple[Network, ...] | None = field(
        default=None, metadata=key("Deny", optional(list_of(network)), "", "nobody is shut out")
    )
    networks: tuple[NetworkConfig, ...] | None = field(
        default=None,
        metadata=key(
            "Networks", optional(list_of(section(NetworkConfig))), "", "all have the bounds above"
        ),
    )

    def share(self, count: int) -> "AdmissionConfig":
        """Return the share of one of so many processes, over which the kernel spreads clients.

        What follows from the limit of open files is each one's own, as that limit is.
        """
        networks = self.networks and tuple(item.share(count) for item in self.networks)
        return replace(self, networks=networks, **_shared_out(self, count))
