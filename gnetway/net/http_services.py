"""What the HTTP requests of a gateway share, whichever listener they come by."""

from collections.abc import Callable

from gnetway.handshake.exchange import KeyExchange
from gnetway.net.cors import CorsPolicy
from gnetway.net.http_sessions import HttpSessions
from gnetway.net.http_settings import HttpSettings
from gnetway.net.links import LinkServices


class ExchangeWaits:
    """Repeats of a query whose answer is still in the making, each on a connection of its own.

    A client that has lost a connection asks again on another one. It is answered when the step
    that is under way has ended.
    """

    def __init__(self) -> None:
        self._waiting: dict[KeyExchange, list[Callable[[], None]]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def add(self, exchange: KeyExchange, again: Callable[[], None]) -> None:
        """Call ``again`` once the step has ended."""
        self._waiting.setdefault(exchange, []).append(again)

    def step_ended(self, exchange: KeyExchange) -> None:
        """Let all ask again that wait for this exchange."""
        for again in self._waiting.pop(exchange, ()):
            again()


class HttpServices:
    """One for the whole gateway: sessions and key exchanges go over any number of connections."""

    __slots__ = ("cors", "exchange_waits", "links", "sessions", "settings")

    def __init__(self, links: LinkServices, settings: HttpSettings) -> None:
        self.links = links
        self.settings = settings
        self.cors = CorsPolicy(settings.allowed_origins)
        self.sessions = HttpSessions(links, settings)
        self.exchange_waits = ExchangeWaits()
