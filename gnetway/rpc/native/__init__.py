"""gRPC over the gateway's own HTTP/2, in the reactor, without threads."""
