"""A session backend in this process: for trials, tests, single-node and embedded use."""
