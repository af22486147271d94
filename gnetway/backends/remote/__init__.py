"""From a client's message to the session backend."""
