"""What an operator sees of a running gateway: health, readiness, metrics, status."""
