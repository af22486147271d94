"""What a gateway is handed that serves as one of several processes."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gnetway.config.servers import ServerConfig
from gnetway.service.listeners import Listener


@dataclass(frozen=True, slots=True)
class WorkerPlace:
    """The sockets of one worker; its parent has bound them, and speaks for all workers.

    One worker serves all of HTTP: ``relayed`` are the sockets by which others carry it there, and
    ``http_elsewhere`` are the paths of those for the others; see ``net/http/relay.py``.
    """

    listeners: list[Listener]
    relayed: list[Listener] = field(default_factory=list)
    http_elsewhere: Mapping[ServerConfig, str] = field(default_factory=dict)
