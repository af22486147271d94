"""The implementations of gRPC that a configuration may name; each is imported when it is chosen."""

from typing import Final

from zope.interface import implementer

from gnetway.errors import ConfigError
from gnetway.rpc.calls import (
    IRpcCarrier,
    IRpcClient,
    IRpcReactor,
    IRpcServer,
    RpcHandlers,
    RpcOptions,
)
from gnetway.runtime.clocks import TurnEnd


@implementer(IRpcCarrier)
class NativeCarrier:
    """IRpcCarrier over the gateway's own HTTP/2 and Twisted's TCP: in the reactor, no threads."""

    name = "native"

    def __init__(self, reactor: IRpcReactor, turn_end: TurnEnd) -> None:
        from gnetway.rpc.native import client, server  # noqa: PLC0415 - needs hpack

        self._reactor = reactor
        self._turn_end = turn_end
        self._client = client.NativeClient
        self._server = server.NativeServer

    def client(self, peer: str, options: RpcOptions) -> IRpcClient:
        """See IRpcCarrier."""
        return self._client(self._reactor, self._turn_end, peer, options)

    def server(self, address: str, handlers: RpcHandlers, options: RpcOptions) -> IRpcServer:
        """See IRpcCarrier."""
        return self._server(self._reactor, self._turn_end, address, handlers, options)


@implementer(IRpcCarrier)
class GrpcioCarrier:
    """IRpcCarrier by Google's grpcio, with threads beside the reactor.

    They know nothing of the reactor's turns, so their end is of no use here.
    """

    name = "grpcio"

    def __init__(self, reactor: IRpcReactor, turn_end: TurnEnd) -> None:
        from gnetway.rpc.grpcio import client, server  # noqa: PLC0415 - needs grpcio

        self._reactor = reactor
        self._client = client.GrpcioClient
        self._server = server.GrpcioServer

    def client(self, peer: str, options: RpcOptions) -> IRpcClient:
        """See IRpcCarrier."""
        return self._client(self._reactor, peer, options)

    def server(self, address: str, handlers: RpcHandlers, options: RpcOptions) -> IRpcServer:
        """See IRpcCarrier."""
        return self._server(self._reactor, address, handlers, options)


#: By the name in the configuration.
CARRIERS: Final = {"native": NativeCarrier, "grpcio": GrpcioCarrier}


def carrier(name: str, reactor: IRpcReactor, turn_end: TurnEnd) -> IRpcCarrier:
    """Return the carrier of that name; what it puts off is run by ``turn_end``.

    :raises ConfigError: there is none, or what it needs is not installed.
    """
    if name not in CARRIERS:
        known = ", ".join(sorted(CARRIERS))
        raise ConfigError([f"Rpc.Carrier: {name!r} is none of: {known}"])
    try:
        return CARRIERS[name](reactor, turn_end)
    except ImportError as error:
        raise ConfigError([f"Rpc.Carrier: {name} needs the package {error.name}"]) from error
