"""HTTP/2 as gRPC uses it, both roles, without I/O: bytes in, events and bytes out."""
