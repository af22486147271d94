"""The framings of MTProto: socket bytes to packets and back."""
