"""The bill of materials of a release names all that the product installs and vendors."""

from __future__ import annotations

import hashlib
import json

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from blocks.settings import ROOT
from infra.release import sbom


@pytest.fixture(scope="module")
def bill() -> dict:
    return sbom.make()


def test_every_locked_package_is_there_with_the_hashes_of_its_files(bill: dict) -> None:
    found = {sbom.normal(c["name"]): c for c in bill["components"] if c["type"] == "library"}
    wanted = sbom.locked()
    assert set(found) == set(wanted) and len(wanted) > 100
    for name, (version, hashes) in wanted.items():
        assert found[name]["version"] == version
        told = [h["content"] for r in found[name]["externalReferences"] for h in r.get("hashes", [])]
        assert hashes and told == hashes


def test_tools_of_tests_are_not_in_the_product(bill: dict) -> None:
    assert not {"pytest", "schemathesis", "cyclonedx-bom"} & {c["name"].lower() for c in bill["components"]}


def test_vendored_models_are_there_with_their_hashes(bill: dict) -> None:
    models = {c["name"]: c["hashes"][0]["content"] for c in bill["components"] if c["type"] != "library"}
    name = "blocks/ocr/models/sohoa-rec/inference.onnx"
    assert models[name] == hashlib.sha256((ROOT / name).read_bytes()).hexdigest()
    assert "blocks/fonts/Tinos-Signature.ttf" in models and not any(name.endswith(".pt") for name in models)


def test_the_bill_is_valid_cyclonedx(bill: dict) -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bill)) is None


def test_a_package_of_another_version_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sbom, "locked", lambda: {"prefect": ("0.0.1", ["0" * 64])})
    with pytest.raises(ValueError, match="prefect"):
        sbom.make()
