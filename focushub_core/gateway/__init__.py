"""The API gateway: routes by prefix, verifies the token, keeps the limits, and puts answers together."""

from focushub_core.gateway.aggregate import Section
from focushub_core.gateway.gateway import Gateway, GatewaySettings

__all__ = ["Gateway", "GatewaySettings", "Section"]
