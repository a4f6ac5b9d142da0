"""The border: what both frameworks must know of the service is decided here, once; the wings ask."""
