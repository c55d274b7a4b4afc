"""Agreements: proposed, signed, amended, simulated, their crises, and what they leave open."""
