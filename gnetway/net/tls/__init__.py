"""TLS before whatever serves a connection."""
