"""The head of a WebSocket handshake, cleared of what Autobahn refuses and the gateway takes.

Autobahn reads an Origin as a URL with a host, which ``qrc://``, ``file://`` and an empty one do
not have, wants digits behind the colon of a Host, and each subprotocol once. It answers the rest
with 400 and asks nobody. So the Origin is taken out, for the gateway to judge, and the two others
are written as Autobahn wants them.

Source: RFC 6455 section 4.2.1, RFC 3986 section 3.2.3 for the empty port
"""

from typing import Final, NamedTuple

#: The empty line, with the end of the line before it.
HEAD_END: Final = b"\r\n\r\n"

_PROTOCOLS: Final = "Sec-WebSocket-Protocol"


class WebSocketHead(NamedTuple):
    """A head for Autobahn, without its end, and the Origin that it had, None for none."""

    data: bytes
    origin: bytes | None


def clear_head(data: bytes) -> WebSocketHead:
    """Return a head in the form that Autobahn takes; all that is wrong elsewhere stays in it.

    ``data`` ends before the empty line. With several Origin fields they stay as well, which is
    refused: which of them counts nobody can tell.
    """
    # Split as Autobahn does, so that nothing is a field for one and none for the other.
    lines = data.decode("latin-1").splitlines()
    kept, origins, protocols = lines[:1], [], []
    for line in lines[1:]:
        name, _, value = line.partition(":")
        kind, value = name.strip().lower(), value.strip()
        if kind == "origin":
            origins.append(value)
        elif kind == "host":
            kept.append(f"{name}: {value.removesuffix(':')}")
        elif kind == _PROTOCOLS.lower():
            protocols += [protocol.strip() for protocol in value.split(",")]
        elif line:
            # An empty one, from a lone line feed, would end the head here.
            kept.append(line)
    if protocols:
        kept.append(f"{_PROTOCOLS}: {', '.join(dict.fromkeys(protocols))}")
    if len(origins) > 1:
        kept += [f"Origin: {origin}" for origin in origins]
    origin = origins[0].encode("latin-1") if len(origins) == 1 else None
    return WebSocketHead("\r\n".join(kept).encode("latin-1"), origin)
