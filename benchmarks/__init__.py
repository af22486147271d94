"""What a gateway costs: processor time, memory, and the time it takes to start."""
