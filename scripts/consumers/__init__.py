"""Jobs that packages of others do on both wings (`scripts.third_party`)."""
