"""The core of evolve: the two loops, the records, and the place where the parts meet."""
