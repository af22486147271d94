"""Gnetway.Server.AllowedOrigins: the web pages that may connect."""

import re
from typing import Final

from gnetway.config.document import Node
from gnetway.config.faults import shown
from gnetway.config.section import Reading

#: Every page, and whatever sends no origin or ``null``.
ANY_ORIGIN: Final = "*"

_ALLOWED: Final = (
    "* for any, or scheme://host[:port] as in https://*.example.org, or null, file:// or another"
    " scheme:// of pages without a host"
)

#: A path never belongs to an origin, nor does a closing slash. Pages that came by HTTP have a host,
#: those inside of an application often none.
#: Source: RFC 6454 section 6.1
_ORIGIN: Final = re.compile(
    r"null|(?!https?://\Z)[a-z][a-z0-9+.-]*://"
    r"(?:(?:\[[0-9a-f:.]+\]|[a-z0-9*_-]+(?:\.[a-z0-9*_-]+)*)(?::(?:[0-9]{1,5}|\*))?)?"
)


def origin(node: Node, reading: Reading) -> str:
    """Read an origin; ``*`` stands for any characters, and browsers send it in lower case."""
    value = node.value.lower() if isinstance(node.value, str) else ""
    if value != ANY_ORIGIN and not _ORIGIN.fullmatch(value):
        reading.reject(node, shown(node.value), _ALLOWED)
    return value
