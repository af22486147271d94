"""The grpcio carrier against itself."""

import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from tests.rpc import stream_conformance, tls_conformance, unary_conformance


class GrpcioUnaryTests(unary_conformance.UnaryConformance):
    carrier_name = "grpcio"


class GrpcioStreamTests(stream_conformance.StreamConformance):
    carrier_name = "grpcio"


class GrpcioTlsTests(tls_conformance.TlsConformance):
    carrier_name = "grpcio"


_LEAVES_EVERYTHING_OPEN = """
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from gnetway.rpc.calls import RpcHandlers, RpcOptions
from gnetway.rpc.carriers import carrier
from gnetway.runtime.clocks import TurnEnd
from tests.rpc.peers import Recorder

arrived = 0

def never(request, peer):
    global arrived
    arrived += 1
    if arrived == 8:
        reactor.callLater(0.1, reactor.stop)
    return Deferred()

grpcio = carrier("grpcio", reactor, TurnEnd(reactor))
handlers = RpcHandlers({"/a/never": never}, {"/a/stream": lambda stream: Recorder()})
server = grpcio.server("127.0.0.1:0", handlers, RpcOptions(threads=8))

def started(port):
    client = grpcio.client(f"127.0.0.1:{port}", RpcOptions())
    client.stream("/a/stream", Recorder()).send(b"open")
    for _ in range(8):
        client.unary("/a/never", b"", 60).addErrback(lambda _: None)

reactor.callWhenRunning(lambda: server.start().addCallback(started))
reactor.run()
print("left", flush=True)
"""


class ExitTests(SynchronousTestCase):
    def test_nothing_left_open_keeps_the_interpreter(self) -> None:
        """Calls in flight, a stream and busy workers, and nobody who stops them."""
        done = subprocess.run(
            [sys.executable, "-c", _LEAVES_EVERYTHING_OPEN],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
        self.assertEqual(done.stdout, "left\n")
