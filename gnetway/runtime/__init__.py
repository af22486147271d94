"""What is done to the reactor and the process: the loop, writes, turns, threads, memory, clocks."""
