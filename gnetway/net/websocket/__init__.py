"""MTProto over WebSocket, by Autobahn."""
