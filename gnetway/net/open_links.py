"""All connections of a gateway, so that they can be ended together."""

from typing import Protocol

from twisted.internet.defer import Deferred, succeed


class OpenLink(Protocol):
    """A connection that can be told to end."""

    def end(self, cause: str) -> None:
        """End the connection; ``cause`` is what it is counted under."""


class OpenLinks:
    """The connections that are open now."""

    def __init__(self) -> None:
        self._links: set[OpenLink] = set()
        self._all_gone: Deferred[None] | None = None

    def __len__(self) -> int:
        return len(self._links)

    def add(self, link: OpenLink) -> None:
        """Note a connection that was made."""
        self._links.add(link)

    def remove(self, link: OpenLink) -> None:
        """Note a connection that is gone."""
        self._links.discard(link)
        if not self._links and self._all_gone is not None:
            all_gone, self._all_gone = self._all_gone, None
            all_gone.callback(None)

    def shut_down(self) -> Deferred[None]:
        """End every connection; fires when the last one is gone."""
        if not self._links:
            return succeed(None)
        self._all_gone = Deferred()
        all_gone = self._all_gone
        for link in list(self._links):
            link.end("gateway_stopped")
        return all_gone
