"""Gnetway.Server.UnixMode: who may connect to a unix socket."""

from typing import Final

from gnetway.config.document import Node
from gnetway.config.faults import shown
from gnetway.config.section import Reading

DEFAULT_MODE: Final = 0o660

#: What makes sense for a socket, whose other bits mean nothing. So few that a decimal number
#: never passes for an octal one: YAML tells 0660 from 660, and then both are just numbers.
_MODES: Final = {"0600": 0o600, "0660": 0o660, "0666": 0o666}

_ALLOWED: Final = f"{', '.join(_MODES)} (octal, with its leading zero)"


def unix_mode(node: Node, reading: Reading) -> int:
    """Read the mode of a socket file: an octal number of YAML, or a text of its digits."""
    value = node.value
    text = f"{value:04o}" if type(value) is int else value
    if not isinstance(text, str) or text not in _MODES:
        meant = f"0{value}" if f"0{value}" in _MODES else ""
        reading.reject(node, shown(value), _ALLOWED, meant)
    return _MODES[text]
