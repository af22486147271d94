"""Where the session nodes are, and how the gateway makes itself known."""
