"""A small chat over MTProto."""
