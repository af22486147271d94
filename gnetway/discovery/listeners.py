"""Those who want to know the nodes."""

from collections.abc import Callable

from twisted.logger import Logger


class NodeListeners:
    """Remembers the last list, for listeners that come later."""

    _log = Logger()

    def __init__(self) -> None:
        self._listeners: list[Callable[[list[str]], None]] = []
        self._nodes: list[str] | None = None

    def add(self, listener: Callable[[list[str]], None]) -> None:
        """Tell ``listener`` the nodes now, if they are known, and at each change."""
        self._listeners.append(listener)
        if self._nodes is not None:
            self._tell(listener, self._nodes)

    def tell(self, nodes: list[str]) -> None:
        """Hand the full list to everyone; each gets a copy of its own."""
        self._nodes = nodes
        for listener in list(self._listeners):
            self._tell(listener, nodes)

    def _tell(self, listener: Callable[[list[str]], None], nodes: list[str]) -> None:
        """One listener's fault is not another's, nor the watch's."""
        with self._log.failuresHandled("a listener failed on {nodes}", nodes=nodes):
            listener(list(nodes))
