"""TL serialisation: primitives, constructor ids, and the records the gateway reads and writes."""
