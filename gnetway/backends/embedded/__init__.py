"""The session backend in this process: a session service without a cluster."""
