"""The road to the service: the SDK's clients, bytes in and out, events of a stream."""
