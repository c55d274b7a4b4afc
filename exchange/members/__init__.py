"""Members: who someone is and what they are cleared for."""

from exchange.members.model import Clearance, Client, ClientId, Member, MemberCode, Role, Standing, Thumbprint

__all__ = ["Clearance", "Client", "ClientId", "Member", "MemberCode", "Role", "Standing", "Thumbprint"]
