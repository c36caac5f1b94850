"""Finding each other: names instead of addresses, and ways through NAT.

Knows connections and messages, but no calls: servers and clients use it.
"""
