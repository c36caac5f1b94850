"""Port mapping: asks the router to forward a port, by UPnP and by PCP or NAT-PMP, and keeps it forwarded.

Begin at :class:`PortMapping`; :func:`probe` tries it without leaving anything behind.
"""

from teleglyph.discovery.port_mapping.mapper import PortMappingSettings, is_public
from teleglyph.discovery.port_mapping.mapping import PortMapping
from teleglyph.discovery.port_mapping.probing import ProtocolReport, RouterReport, probe
from teleglyph.discovery.port_mapping.route import Route, default_route

__all__ = [
    "PortMapping",
    "PortMappingSettings",
    "ProtocolReport",
    "Route",
    "RouterReport",
    "default_route",
    "is_public",
    "probe",
]
