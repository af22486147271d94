"""What the HTTP requests of a gateway share, whichever listener they come by."""

from collections.abc import Iterable
from copy import copy
from typing import Self

from gnetway.net.forwarded import TrustedProxies
from gnetway.net.http.cors import CorsPolicy
from gnetway.net.http.sessions import HttpSessions
from gnetway.net.http.settings import HttpSettings
from gnetway.net.link_services import LinkServices


class HttpServices:
    """One for the whole gateway: sessions go over any number of connections."""

    __slots__ = ("cors", "links", "sessions", "settings", "trusted_proxies")

    def __init__(self, links: LinkServices, settings: HttpSettings) -> None:
        self.links = links
        self.settings = settings
        self.cors = CorsPolicy(settings.allowed_origins)
        self.sessions = HttpSessions(links, settings)
        self.trusted_proxies = TrustedProxies()

    def for_listener(self, allowed_origins: Iterable[str], proxies: TrustedProxies) -> Self:
        """Return the same services, for a listener with web pages and balancers of its own."""
        services = copy(self)
        services.cors = CorsPolicy(allowed_origins)
        services.trusted_proxies = proxies
        return services
