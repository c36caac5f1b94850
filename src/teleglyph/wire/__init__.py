"""Bytes ⇄ messages of the three protocols, without sockets, clocks or an event loop."""
