"""Actions that only the screens and the demo need."""
