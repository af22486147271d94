"""The native carrier against itself."""

from tests.rpc import stream_conformance, tls_conformance, unary_conformance


class NativeUnaryTests(unary_conformance.UnaryConformance):
    carrier_name = "native"


class NativeStreamTests(stream_conformance.StreamConformance):
    carrier_name = "native"


class NativeTlsTests(tls_conformance.TlsConformance):
    carrier_name = "native"
