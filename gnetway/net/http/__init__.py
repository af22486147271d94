"""MTProto over HTTP: one request, one packet."""
