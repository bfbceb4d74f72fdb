"""The server and the app over a ChatBackend; speaks of messages, replies and requests."""
