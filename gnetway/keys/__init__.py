"""Auth keys at hand, and how the others are found."""
