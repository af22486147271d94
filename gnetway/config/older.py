"""Server at the head of the file: the listeners of Teamgram's gateway before there was Gnetway."""

from dataclasses import dataclass, field
from typing import Final

from gnetway.config.addresses import Address, UnixAddress, listener_address
from gnetway.config.document import Node
from gnetway.config.reader import section
from gnetway.config.section import Reading, key
from gnetway.config.values import flag, list_of

#: What the log says of a file that has it.
OLDER_NOTE: Final = (
    "Server, the layout before Gnetway, is taken: its Addrs as if they stood in Gnetway.Server"
    " with Proto: tcp"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OlderServerConfig:
    """Server: addresses that speak plain TCP, and what Gnetway has a key for as well."""

    addresses: tuple[Address | UnixAddress, ...] = field(
        metadata=key("Addrs", list_of(listener_address), "", "a list of host:port")
    )
    multicore: bool = field(
        default=False, metadata=key("Multicore", flag, "", "as Gnetway.Multicore")
    )


def older_server(node: Node, reading: Reading) -> OlderServerConfig:
    """Read Server; a list of listeners belongs elsewhere."""
    if isinstance(node.value, list):
        reading.reject(node, "a list", "a mapping with Addrs", "'Gnetway.Server'")
    return section(OlderServerConfig)(node, reading)
