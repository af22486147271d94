"""Packets to envelopes, envelopes to messages."""
