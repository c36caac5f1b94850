"""Finding a call without knowing its address.

``lan`` announces a server on the local network and finds others there, over mDNS.  ``lan_records`` decides which of the
answers are believed, and ``interfaces`` knows this machine's own addresses.  Nothing here knows calls or participants.
"""
