"""What the HTTP requests of a gateway share, whichever listener they come by."""

from collections.abc import Iterable
from copy import copy
from typing import Self

from gnetway.net.cors import CorsPolicy
from gnetway.net.http_sessions import HttpSessions
from gnetway.net.http_settings import HttpSettings
from gnetway.net.links import LinkServices


class HttpServices:
    """One for the whole gateway: sessions go over any number of connections."""

    __slots__ = ("cors", "links", "sessions", "settings")

    def __init__(self, links: LinkServices, settings: HttpSettings) -> None:
        self.links = links
        self.settings = settings
        self.cors = CorsPolicy(settings.allowed_origins)
        self.sessions = HttpSessions(links, settings)

    def for_origins(self, allowed_origins: Iterable[str]) -> Self:
        """Return the same services, for a listener to which these web pages may come."""
        services = copy(self)
        services.cors = CorsPolicy(allowed_origins)
        return services
