"""`make sbom`: the software bill of materials of the service, CycloneDX 1.6 in JSON, made from its lock.

Every component has the digests that the lock admits, so that what is installed can be held against it. Digests are
those of a package's files on an index; which of them was installed depends on the platform.
"""

import json
import os
import sys
import uuid
from datetime import UTC, datetime
from typing import Any

from exchange import __version__
from tests.support.locked import Locked, locked_packages

_ROOT = "pkg:generic/exchange"
_NAMESPACE = uuid.UUID("0d1c3a1e-5a52-4f2c-9d5a-6b1f6f0a7c11")


def bill(made_at: datetime) -> dict[str, Any]:
    """Return the bill of materials; the same lock gives the same one, but for its time."""
    packages = locked_packages()
    components = [_component(package) for package in packages]
    own = f"{_ROOT}@{__version__}"
    needed = sorted({need for package in packages for need in package.needs})
    direct = [_ref(package) for package in packages if package.name not in needed]
    refs = {package.name: _ref(package) for package in packages}
    graph = [{"ref": own, "dependsOn": direct}]
    graph += [{"ref": _ref(each), "dependsOn": [refs[need] for need in each.needs]} for each in packages]
    content = json.dumps([components, graph], sort_keys=True)
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, content)}",
        "version": 1,
        "metadata": {
            "timestamp": made_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {
                "type": "application",
                "bom-ref": own,
                "name": "exchange",
                "version": __version__,
                "purl": own,
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            },
        },
        "components": components,
        "dependencies": graph,
    }


def _ref(package: Locked) -> str:
    return f"pkg:pypi/{package.name}@{package.version}"


def _component(package: Locked) -> dict[str, Any]:
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": _ref(package),
        "name": package.name,
        "version": package.version,
        "purl": _ref(package),
        "hashes": [{"alg": "SHA-256", "content": digest} for digest in package.digests],
    }
    if package.licence is not None:
        licence: dict[str, Any] = {"license": {"name": package.licence}}
        component["licenses"] = [{"expression": package.licence} if package.is_expression else licence]
    return component


def main() -> int:
    """Print the bill of materials; SOURCE_DATE_EPOCH (seconds) stands for its time where it is set."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    made_at = datetime.now(UTC) if epoch is None else datetime.fromtimestamp(int(epoch), UTC)
    json.dump(bill(made_at), sys.stdout, indent=2)
    sys.stdout.write("\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
