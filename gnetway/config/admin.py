"""Admin: where an operator asks a running gateway how it is; and Prometheus, go-zero's form of it.

Both are read as they stand in the file. Nobody listens without them.
"""

from dataclasses import dataclass, field
from typing import Final

from gnetway.config.addresses import Address, UnixAddress, is_loopback, listener_address
from gnetway.config.document import Node, join
from gnetway.config.reader import section
from gnetway.config.servers import DEFAULT_MODE, unix_mode
from gnetway.config.values import (
    Reading,
    described,
    described_as,
    key,
    list_of,
    optional,
    secret,
    text,
    web_path,
    whole,
)

#: A token that is shorter could be found out by trying.
MIN_TOKEN_CHARS: Final = 16


_TOKEN: Final = f"a text of {MIN_TOKEN_CHARS} or more printable characters of ASCII"


@described({"type": "string", "minLength": MIN_TOKEN_CHARS}, _TOKEN)
def _token(node: Node, reading: Reading) -> str:
    read = secret(node, reading)
    if len(read) < MIN_TOKEN_CHARS or not read.isascii() or not read.isprintable():
        reading.reject(node, "one that is shorter, or has others", _TOKEN)
    return read


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminConfig:
    """Admin: addresses of the admin site, and what whoever reads it must know."""

    addresses: tuple[Address | UnixAddress, ...] = field(
        metadata=key("Addresses", list_of(listener_address))
    )
    token: str = field(default="", repr=False, metadata=key("Token", optional(_token)))
    unix_mode: int = field(default=DEFAULT_MODE, metadata=key("UnixMode", unix_mode))

    @property
    def open_to_others(self) -> list[str]:
        """The addresses that other machines reach without a token."""
        return [
            str(address)
            for address in self.addresses
            if not self.token and isinstance(address, Address) and not is_loopback(address.host)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class PrometheusConfig:
    """Prometheus, as Teamgram's services have it: one address with the metrics and nothing else.

    Without a Host nobody listens, as there.
    """

    host: str = field(default="", metadata=key("Host", optional(text)))
    port: int = field(default=9101, metadata=key("Port", whole(0, 65535)))
    path: str = field(default="/metrics", metadata=key("Path", web_path))


@described_as(section(PrometheusConfig))
def prometheus(node: Node, reading: Reading) -> PrometheusConfig | None:
    """Read Prometheus; None where nobody is to listen."""
    read = section(PrometheusConfig)(node, reading)
    if not read.host:
        reading.unused.extend(
            path for name in ("Port", "Path") if (path := join(node.path, name)) in reading.lines
        )
        return None
    return read
