"""What goes to which session node, when, and again: without I/O, the time is passed in."""
