"""Several processes that serve as one gateway: a parent, and workers that it starts."""
