"""Ciphers, hashes and big numbers as MTProto uses them; pure functions."""
