"""What may change, from which seed, and what must still hold."""
