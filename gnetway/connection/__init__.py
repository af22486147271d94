"""The whole MTProto stack of one client link as one sans-I/O object."""
