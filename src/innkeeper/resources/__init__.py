"""What exists: typed declarations of every resource. No I/O."""
