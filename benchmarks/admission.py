"""What it costs to let a connection in: `python -m benchmarks.admission`.

One connection that comes, is let in, uses a key and goes, without its socket and whatever serves
it: everything that the gateway does more than one that lets everybody in.
"""

from time import process_time_ns
from typing import Final

from gnetway.admission.accounts import AccountLimits, Accounts
from gnetway.admission.admission import Admission, Bounds
from gnetway.admission.place import Place

_CONNECTIONS: Final = 100_000
_ROUNDS: Final = 5

_LIMITS: Final = AccountLimits(
    connections=1 << 19, half_open=4096, connect_rate=1e9, connect_burst=1e9
)


class Stand:
    """An admission with its accounts."""

    def __init__(self, connections: int = 1 << 20) -> None:
        self.accounts = Accounts(lambda network: _LIMITS)
        self.admission = Admission(Bounds(connections=connections), lambda cause: None)

    def come(self, client_ip: str, now: float) -> Place:
        """Let a connection in."""
        account = self.accounts.of(client_ip, now)
        self.admission.turn_of(account, now)
        return self.admission.admit(account, now)


def microseconds(addresses: list[str], stays: bool = False) -> float:
    """Return what a connection costs, the best of some rounds.

    With ``stays`` all of them are there at a time, else one after another.
    """
    best = float("inf")
    for _ in range(_ROUNDS):
        stand = Stand()
        places: list[Place] = []
        began = process_time_ns()
        for n in range(_CONNECTIONS):
            place = stand.come(addresses[n % len(addresses)], n * 1e-6)
            place.opened()
            if stays:
                places.append(place)
            else:
                place.left()
        for place in places:
            place.left()
        best = min(best, (process_time_ns() - began) / 1000 / _CONNECTIONS)
    return best


def microseconds_when_full() -> float:
    """Return what a connection costs for which one of another address has to give way."""
    stand = Stand(connections=20_000)
    for n in range(20_000):
        stand.come("192.0.2.1", n * 1e-6).opened()
    newcomers = [f"10.0.{n // 256}.{n % 256}" for n in range(10_000)]
    began = process_time_ns()
    for n, client_ip in enumerate(newcomers):
        stand.come(client_ip, 1 + n * 1e-6)
    return (process_time_ns() - began) / 1000 / len(newcomers)


def main() -> None:
    """Print a table."""
    many = [f"10.{n // 65536}.{n // 256 % 256}.{n % 256}" for n in range(10_000)]
    many_v6 = [f"2001:db8:{n // 256:x}:{n % 256:x}:8:9:a:b" for n in range(10_000)]
    rows = (
        ("one address, one connection at a time", microseconds(["192.0.2.1"])),
        ("one address, all at a time", microseconds(["192.0.2.1"], stays=True)),
        ("10,000 addresses, all at a time", microseconds(many, stays=True)),
        ("10,000 IPv6 networks, all at a time", microseconds(many_v6, stays=True)),
        ("all full: another one gives way", microseconds_when_full()),
    )
    for name, cost in rows:
        print(f"{name:40} {cost:6.2f} µs a connection")


if __name__ == "__main__":
    main()
