"""Guests, orders and what hangs on them, as every dialect of REST changes and reads them."""
