"""Calling and serving gRPC behind one seam, whatever carries it."""
