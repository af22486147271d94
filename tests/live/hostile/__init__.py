"""One hostile address, and what another one feels of it."""
