"""What only the screens and the demo need."""
