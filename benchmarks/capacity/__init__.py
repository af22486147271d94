"""The capacity card: what one gateway can hold and do, and how that grows."""
