"""gnetway, the MTProto network gateway for Python and Twisted."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from gnetway._version import __version__

if TYPE_CHECKING:
    from gnetway.application import ContextFactory, HandlerFactory, Middleware
    from gnetway.backends.embedded.store import IKeyStore
    from gnetway.config.model import GatewayConfig
    from gnetway.interfaces import IGatewayReactor
    from gnetway.service.endpoints import RpcFactory
    from gnetway.service.gateway import GatewayService

__all__ = ["RpcFactory", "__version__", "make_gateway"]


def make_gateway(
    config: "GatewayConfig | Mapping[str, object]",
    reactor: "IGatewayReactor",
    handler: "HandlerFactory | None" = None,
    own_process: bool = False,
    *,
    store: "IKeyStore | None" = None,
    middleware: "Sequence[Middleware]" = (),
    context: "ContextFactory | None" = None,
) -> "GatewayService":
    """Build a gateway to run in a Twisted application.

    ``config`` is a loaded configuration, or a mapping of the form of ``etc/gnetway.yaml``.
    ``handler``, called with an IRpcSessions provider, makes the IRpcHandler that answers the
    calls of clients; ``middleware`` stands before it, the first outermost; ``store`` is where the
    keys are. Without them Session.Embedded counts. ``context`` makes the context of a session. A
    remote session backend takes none of these. ``own_process`` allows what the gateway does for
    speed to a process that is its own, see GatewayService.

    :raises ConfigError: with a line for each fault. Faults that show only at start, such as a
        port that is taken, come from ``prepare()``.
    """
    # Imported on use, so that the core (gnetway.tl … gnetway.connection) runs without Twisted.
    from gnetway.backends.embedded.handler import Embedding  # noqa: PLC0415
    from gnetway.config.load import load_mapping  # noqa: PLC0415
    from gnetway.config.model import GatewayConfig  # noqa: PLC0415
    from gnetway.errors import ConfigError  # noqa: PLC0415
    from gnetway.service.gateway import GatewayService  # noqa: PLC0415

    if not isinstance(config, GatewayConfig):
        config = load_mapping(config)
    if config.workers is not None and config.workers > 1:
        found = f"{config.workers} for a gateway inside of another application"
        raise ConfigError([config.fault("Workers", found, "1 or auto, which is 1 here")])
    given = Embedding(handler=handler, store=store, middleware=middleware, context=context)
    return GatewayService(config, reactor, given, own_process=own_process)


def __getattr__(name: str) -> object:
    # As above.
    if name == "RpcFactory":
        from gnetway.service.endpoints import RpcFactory  # noqa: PLC0415

        return RpcFactory
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
