"""The tree that RFC 6962's implementations test themselves with: its entries, and its root at each size."""

import json
from pathlib import Path

from exchange.audit import hash_leaf

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "rfc6962_tree.json").read_text("utf-8"))
ENTRIES = [bytes.fromhex(each) for each in VECTORS["entries"]]
ROOTS = [bytes.fromhex(each) for each in VECTORS["roots"]]
LEAF_HASHES = [hash_leaf(content) for content in ENTRIES]
