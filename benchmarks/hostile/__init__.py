"""What one hostile address does to others."""
