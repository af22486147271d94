"""gRPC by Google's grpcio, with threads beside the reactor."""
