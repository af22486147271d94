"""What exists in a running gateway and in which order it starts."""
