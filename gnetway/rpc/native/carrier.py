"""The gateway's own carrier: gRPC over HTTP/2 in the reactor, without threads."""

from zope.interface import implementer

from gnetway.rpc.calls import (
    IRpcCarrier,
    IRpcClient,
    IRpcReactor,
    IRpcServer,
    RpcHandlers,
    RpcOptions,
)
from gnetway.rpc.native.client import NativeClient
from gnetway.rpc.native.server import NativeServer
from gnetway.runtime.turn_end import TurnEnd


@implementer(IRpcCarrier)
class NativeCarrier:
    """IRpcCarrier over Twisted's TCP."""

    name = "native"

    def __init__(self, reactor: IRpcReactor, turn_end: TurnEnd) -> None:
        self._reactor = reactor
        self._turn_end = turn_end

    def client(self, peer: str, options: RpcOptions) -> IRpcClient:
        """See IRpcCarrier."""
        return NativeClient(self._reactor, self._turn_end, peer, options)

    def server(self, address: str, handlers: RpcHandlers, options: RpcOptions) -> IRpcServer:
        """See IRpcCarrier."""
        return NativeServer(self._reactor, self._turn_end, address, handlers, options)
