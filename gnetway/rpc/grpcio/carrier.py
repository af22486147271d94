"""The other carrier: Google's grpcio, with threads beside the reactor."""

from zope.interface import implementer

from gnetway.rpc.calls import (
    IRpcCarrier,
    IRpcClient,
    IRpcReactor,
    IRpcServer,
    RpcHandlers,
    RpcOptions,
)
from gnetway.rpc.grpcio.client import GrpcioClient
from gnetway.rpc.grpcio.server import GrpcioServer
from gnetway.runtime.turn_end import TurnEnd


@implementer(IRpcCarrier)
class GrpcioCarrier:
    """IRpcCarrier by grpcio."""

    name = "grpcio"

    def __init__(self, reactor: IRpcReactor, turn_end: TurnEnd) -> None:
        # grpcio's threads know nothing of the reactor's turns, so the second is not needed.
        self._reactor = reactor

    def client(self, peer: str, options: RpcOptions) -> IRpcClient:
        """See IRpcCarrier."""
        return GrpcioClient(self._reactor, peer, options)

    def server(self, address: str, handlers: RpcHandlers, options: RpcOptions) -> IRpcServer:
        """See IRpcCarrier."""
        return GrpcioServer(self._reactor, address, handlers, options)
