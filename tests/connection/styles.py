"""The ways in which a client comes, for tests that try all of them."""

from gnetway.testing.link import OBFUSCATED, Framing, Style

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
