"""A call, seen from one participant's terminal."""
