"""gnetway, the MTProto network gateway for Python and Twisted."""

from typing import TYPE_CHECKING

from gnetway._version import __version__

if TYPE_CHECKING:
    from gnetway.service.endpoints import RpcFactory
    from gnetway.service.gateway import make_gateway

__all__ = ["RpcFactory", "__version__", "make_gateway"]


def __getattr__(name: str) -> object:
    # Imported on use, so that the core (gnetway.tl … gnetway.connection) runs without Twisted.
    if name == "make_gateway":
        from gnetway.service.gateway import make_gateway  # noqa: PLC0415

        return make_gateway
    if name == "RpcFactory":
        from gnetway.service.endpoints import RpcFactory  # noqa: PLC0415

        return RpcFactory
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
