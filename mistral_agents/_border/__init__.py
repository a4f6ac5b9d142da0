"""What both wings must decide alike is decided here, once: the wings translate."""
