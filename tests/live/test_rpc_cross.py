"""The native carrier against grpcio, on either side."""

from zope.interface import implementer

from gnetway.rpc.calls import IRpcCarrier, IRpcClient, IRpcServer, RpcHandlers, RpcOptions
from gnetway.rpc.carriers import carrier
from gnetway.runtime.clocks import TurnEnd
from tests.rpc import stream_conformance, tls_conformance, unary_conformance
from tests.rpc.conformance import CarrierCase, reactor


@implementer(IRpcCarrier)
class Mixed:
    """Clients of one carrier and servers of another."""

    def __init__(self, clients: str, servers: str) -> None:
        self.name = f"{clients} calls {servers}"
        self._clients = carrier(clients, reactor, TurnEnd(reactor))
        self._servers = carrier(servers, reactor, TurnEnd(reactor))

    def client(self, peer: str, options: RpcOptions) -> IRpcClient:
        return self._clients.client(peer, options)

    def server(self, address: str, handlers: RpcHandlers, options: RpcOptions) -> IRpcServer:
        return self._servers.server(address, handlers, options)


class _NativeCalls(CarrierCase):
    carrier_name = "native"

    def setUp(self) -> None:
        super().setUp()
        self.carrier = Mixed("native", "grpcio")


class _NativeServes(CarrierCase):
    carrier_name = "native"

    def setUp(self) -> None:
        super().setUp()
        self.carrier = Mixed("grpcio", "native")


class NativeCallsUnaryTests(_NativeCalls, unary_conformance.UnaryConformance):
    pass


class NativeCallsStreamTests(_NativeCalls, stream_conformance.StreamConformance):
    pass


class NativeCallsTlsTests(_NativeCalls, tls_conformance.TlsConformance):
    pass


class NativeServesUnaryTests(_NativeServes, unary_conformance.UnaryConformance):
    pass


class NativeServesStreamTests(_NativeServes, stream_conformance.StreamConformance):
    pass


class NativeServesTlsTests(_NativeServes, tls_conformance.TlsConformance):
    pass
