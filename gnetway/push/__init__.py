"""The gateway's own gRPC service: what session services send to clients."""
