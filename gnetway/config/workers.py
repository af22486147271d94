"""Workers: in how many processes the gateway serves its clients."""

from typing import Final

from gnetway.config.document import Node
from gnetway.config.faults import shown
from gnetway.config.section import Reading
from gnetway.config.values import is_whole

#: As many as the machine has processors for this program.
AUTO: Final = "auto"

#: More processes than any machine has processors for; each takes tens of MiB.
MAX_WORKERS: Final = 256


def workers(node: Node, reading: Reading) -> int | None:
    """Read a number of processes; None for ``auto``."""
    value = node.value
    if value == AUTO:
        return None
    if not is_whole(value, 1, MAX_WORKERS):
        reading.reject(node, shown(value), f"a whole number from 1 to {MAX_WORKERS}, or {AUTO}")
    return value
