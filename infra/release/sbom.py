"""The bill of materials of a release (CycloneDX 1.6, ECMA-424): `python -m infra.release.sbom OUT`.

It lists what `requirements/base.txt` locks, each package with the SHA-256 of all its files and its licence, and what is
vendored in the repository (models, fonts), each file with its SHA-256. Tools of tests and training are left out: they
are not in the product.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from packaging.markers import Marker

from blocks.settings import ROOT

LOCK = ROOT / "requirements" / "base.txt"
VENDORED = ("blocks/ocr/models", "blocks/fonts")
NOT_SHIPPED = {".pt", ".py", ".csv", ".md", ".txt"}  # a training checkpoint, programs, texts about the files
_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^ \\;]+)(?: ; ([^\\]+))?")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def normal(name: str) -> str:
    """A package's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def locked(lock: Path = LOCK) -> dict[str, tuple[str, list[str]]]:
    """Package → (version, SHA-256 of each of its files) of a lock file, as far as this Python needs it."""
    found: dict[str, tuple[str, list[str]]] = {}
    name = ""
    for line in lock.read_text(encoding="utf-8").splitlines():
        if match := _PIN.match(line):
            name = normal(match[1])
            if match[3] and not Marker(match[3].strip()).evaluate():
                continue  # for other Pythons; nor are the hashes that follow taken, as nothing is found for it
            found[name] = (match[2], [])
        found.get(name, ("", []))[1].extend(_HASH.findall(line))
    return found


def _installed() -> dict[str, Any]:
    """What cyclonedx-py reads from the running interpreter's environment: licences, addresses, dependencies."""
    command = ["cyclonedx-py", "environment", "--of", "JSON", "--sv", "1.6", "--output-reproducible"]
    answer = subprocess.run([Path(sys.executable).parent / command[0], *command[1:], sys.executable],
                          capture_output=True, check=True)  # fmt: skip
    bom: dict[str, Any] = json.loads(answer.stdout)
    return bom


def _vendored() -> list[dict[str, Any]]:
    files = (path for folder in VENDORED for path in sorted((ROOT / folder).rglob("*")) if path.is_file())
    return [
        {
            "type": "machine-learning-model" if path.suffix in {".onnx", ".npz", ".pdiparams"} else "data",
            "bom-ref": str(path.relative_to(ROOT)),
            "name": str(path.relative_to(ROOT)),
            "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(path.read_bytes()).hexdigest()}],
        }
        for path in files
        if path.suffix not in NOT_SHIPPED and "__pycache__" not in path.parts
    ]


def make() -> dict[str, Any]:
    """The bill as JSON. Raises ValueError for a locked package that isn't installed in the locked version."""
    bom, wanted = _installed(), locked()
    kept: dict[str, dict[str, Any]] = {}
    for component in bom["components"]:
        name = normal(component["name"])
        if name in wanted and component["version"] == wanted[name][0]:
            hashes = [{"alg": "SHA-256", "content": digest} for digest in wanted[name][1]]
            # CycloneDX has one hash for a component, the lock one for each file of it that may be installed.
            component["externalReferences"] = [
                *component.get("externalReferences", []),
                {
                    "type": "distribution",
                    "url": component["purl"],
                    "hashes": hashes,
                },
            ]
            kept[name] = component
    if missing := sorted(set(wanted) - set(kept)):
        raise ValueError(f"locked but not installed in that version: {', '.join(missing)}; run `make setup`")
    refs = {component["bom-ref"] for component in kept.values()}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    bom["metadata"]["component"] = {
        "type": "application",
        "bom-ref": "sohoa",
        "name": project["name"],
        "version": project["version"],
        "licenses": [{"license": {"id": project["license"]}}],
    }
    bom["components"] = [*kept.values(), *_vendored()]
    bom["dependencies"] = [
        {"ref": "sohoa", "dependsOn": sorted(refs)},
        *(
            entry | {"dependsOn": [ref for ref in entry.get("dependsOn", []) if ref in refs]}
            for entry in bom["dependencies"]
            if entry["ref"] in refs
        ),
    ]
    return bom


def main(arguments: list[str]) -> int:
    """Write the bill and say how long it is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    asked = parser.parse_args(arguments)
    bom = make()
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_text(json.dumps(bom, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{asked.out}: {len(bom['components'])} components")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
