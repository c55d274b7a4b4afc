"""TAXII 2.1; its issue has not come yet."""
