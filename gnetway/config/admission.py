"""Gnetway.Admission: what one client network may take, an IPv4 address or an IPv6 /64."""

from dataclasses import dataclass, field
from typing import Final

from gnetway.config.section import key
from gnetway.config.values import whole

_MAX_COUNT: Final = 10_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionConfig:
    """Rates of one network; each field gives its default, unit and reason."""

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
        default=5000,
        metadata=key(
            "ExchangeBurst",
            whole(1, _MAX_COUNT),
            "key exchanges",
            "of one address at once, before that rate counts: thousands of clients behind it that"
            " lost their keys together; six seconds of a core, at which other addresses take turns",
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
