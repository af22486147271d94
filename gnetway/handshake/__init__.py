"""Making an authorization key: the server's half, sans-I/O."""
