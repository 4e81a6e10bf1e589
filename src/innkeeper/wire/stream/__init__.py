"""Stream API over HTTP: messages, endpoints, quarantine."""
