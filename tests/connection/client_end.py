"""The client's end of a connection, which is public, and what tests try it with."""

from gnetway.testing.framings import OBFUSCATED, Framing
from gnetway.testing.link import ClientLink as ClientEnd
from gnetway.testing.link import QuickAck, Style

__all__ = ["ABRIDGED", "NAMES", "PADDED", "STYLES", "ClientEnd", "QuickAck", "Style"]

STYLES = [Style(framing, False) for framing in Framing] + [
    Style(framing, True) for framing in OBFUSCATED
]
ABRIDGED = Style(Framing.ABRIDGED, False)
PADDED = Style(Framing.PADDED, True)

#: What `codec_name` calls the framings.
NAMES = {
    Framing.ABRIDGED: "abridged",
    Framing.INTERMEDIATE: "intermediate",
    Framing.PADDED: "padded intermediate",
    Framing.FULL: "full",
}
