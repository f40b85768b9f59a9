"""The sample generator itself: same seed same bytes, valid ids, every problem code, complete truth, clean pages."""

from __future__ import annotations

import hashlib
import json
import random
import re
import unicodedata
from datetime import date
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from blocks.errors import SohoaError
from blocks.records.states import DocumentState, DossierState
from tasks.capture.file_checks import inspect_file
from tasks.extraction.fields import LABELS
from tasks.intake.manifest import MANIFEST, Manifest, parse_manifest
from tests.samples import people
from tests.samples.__main__ import generate
from tests.samples.defects import DEFECTS, write_defect
from tests.samples.documents import make_document, write_document
from tests.samples.dossiers import good
from tests.samples.forms import FORMS
from tests.samples.writer import write_dossier

SEED = 2026
# All codes of a component or a declaration; FILE_TOO_LARGE would need a file of over 400 MB.
CODES = {
    *("FILE_MISSING", "FILE_EMPTY", "FILE_TYPE", "FILE_TRUNCATED", "IMAGE_BOMB", "PDF_ENCRYPTED", "PDF_ZERO_PAGES"),
    *("PDF_ACTIVE_CONTENT", "PDF_ATTACHMENTS", "PDF_SIGNED", "PDF_VERSION", "PDF_DAMAGED", "DPI_LOW", "DPI_METADATA"),
    *("NOT_COLOUR", "PAGE_BLANK", "PAGE_CROPPED", "PAGE_SKEWED", "PAGE_BLURRED", "PAGES_MISSING", "PAGES_EXTRA"),
    *("PAGES_ORDER", "PAGES_DUPLICATE", "NOTE_PAIR", "ORIGINALS_COUNT", "COMPONENT_FILES", "COMPONENT_MISSING"),
    *("PROCEDURE_UNKNOWN", "TYPE_UNKNOWN", "NAME_NFD", "MANIFEST_INVALID", "ELECTRONIC_INVALID"),
}


def digest(folder: Path) -> dict[str, str]:
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


# One look of each form in `make test`, more in `make test-all`.
SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(1, 4))]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("samples")
    generate(out, SEED, "demo")
    return out


@pytest.mark.long
def test_same_seed_same_bytes(demo: Path, tmp_path: Path) -> None:
    names = ("02-om-dau-ghi-chu", "09-don-vi-tang-lao-dong")  # JPEG with notes; PDF and TIFF
    for dossier in (d for d in good(SEED) if d.name in names):
        assert digest(write_dossier(tmp_path, dossier)) == digest(demo / dossier.name)


@pytest.mark.parametrize("code", ["PDF_ENCRYPTED", "PDF_SIGNED", "FILE_TYPE", "PDF_ATTACHMENTS"])
def test_bad_files_are_deterministic(tmp_path: Path, code: str) -> None:
    defect = next(d for d in DEFECTS if d.code == code)
    first, second = (write_defect(tmp_path / str(n), SEED, defect) for n in range(2))
    assert digest(first) == digest(second)


def test_another_seed_makes_other_people_and_looks() -> None:
    (first, look), (second, other) = (make_document(seed, 1, "LOCAL:C65-HD") for seed in (1, 2))
    assert first.fields["full_name"] != second.fields["full_name"] and look != other


@given(st.integers(0, 10**9))
@settings(max_examples=200, deadline=None)
def test_ids_are_valid(seed: int) -> None:
    rng = random.Random(seed)
    who = people.make_person(rng)
    assert re.fullmatch(r"\d{12}", who.id) and re.fullmatch(r"\d{10}", who.bhxh)
    assert re.fullmatch(r"[A-Z]{2}[1-5]\d{12}", who.card)
    century, male = divmod(int(who.id[3]), 2)
    assert (male == 0) == who.male and who.born.year == 1900 + century * 100 + int(who.id[4:6])
    assert who.id[:3] == who.address.place.code
    assert unicodedata.is_normalized("NFC", who.name + who.address.at(date(2024, 1, 1)))
    assert people.tax_code_valid(people.make_employer(rng).tax)


@pytest.mark.long
def test_the_demo_set_has_every_kind_of_dossier(demo: Path) -> None:
    truths = [json.loads(p.read_text(encoding="utf-8")) for p in sorted(demo.glob("*/truth.json"))]
    sound = [t for t in truths if t["defect"] is None]
    assert len(sound) >= 14 and sum(len(t["documents"]) for t in truths) >= 40
    manifests = [yaml.safe_load((demo / t["name"] / MANIFEST).read_bytes()) for t in truths]
    assert len({m["procedure"] for m in manifests}) >= 12
    assert {m["owner"]["kind"] for m in manifests} == {"PERSON", "ORGANISATION"}
    assert any(m["owner"]["id"] is None for m in manifests)
    components = [c for m in manifests for c in m["components"]]
    assert any(c["form"] == "PHOTOCOPY" for c in components)  # SC11
    assert any(c["flags"].get("show_only") and not c["files"] for c in components)  # SC12
    assert any(c["flags"].get("fragile") for c in components)  # B3d
    assert any(c["note_pages"] for c in components)  # CA07
    assert {Path(f).suffix for c in components for f in c["files"]} == {".jpg", ".tif", ".pdf"}
    assert {c["dpi"] for c in components} >= {200, 300}
    assert sum(c["pages"] > 1 for c in components) >= 12
    assert {"REFUSE_VERIFICATION", "REFUSE_SIGNOFF", "SECRET"} <= {t["defect"] for t in truths}


@pytest.mark.long
def test_truth_is_complete(demo: Path) -> None:
    for folder in sorted(demo.iterdir()):
        truth = json.loads((folder / "truth.json").read_text(encoding="utf-8"))
        manifest = yaml.safe_load((folder / MANIFEST).read_bytes())
        assert truth["set"] == "demo" and truth["expected_state"] in {*DossierState, "REFUSED"} and truth["story"]
        assert len(truth["documents"]) == len(manifest["components"])
        for document, component in zip(truth["documents"], manifest["components"], strict=True):
            assert document["expected_state"] in set(DocumentState)
            if not document["pages"]:
                continue
            fields = document["fields"]
            assert {"type_code", "owner_id", "title", "number_symbol", "issue_date", "issuer", "abstract"} <= set(
                fields
            )
            assert all(name in LABELS or name.startswith("special.") for name in fields)
            assert all(v is None or (v == v.strip() and unicodedata.is_normalized("NFC", v)) for v in fields.values())
            assert fields["issue_date"] is None or date.fromisoformat(fields["issue_date"])
            for page in range(1, component["pages"] + 1):
                assert (folder / "text" / f"{document['ordinal']}-{page:04d}.txt").is_file()


@pytest.mark.long
def test_CA04_CA07_the_good_declarations_agree_with_the_scans(demo: Path) -> None:
    """Manifests parse, files pass intake, images = pages + note pages; captured components = originals."""
    for folder in sorted(p for p in demo.iterdir() if p.name[0] != "d"):
        manifest = parse_manifest((folder / MANIFEST).read_bytes())
        assert manifest.originals == sum(bool(c.files) for c in manifest.components)
        for component in (c for c in manifest.components if c.files):
            images = sum(len(inspect_file(folder / name, component.dpi).pages) for name in component.files)
            assert images == component.pages + len(component.note_pages)


def test_every_problem_code_has_its_dossier() -> None:
    assert {defect.code for defect in DEFECTS} == CODES
    assert len({defect.name for defect in DEFECTS}) == len(DEFECTS)
    assert sum(defect.group == "demo" for defect in DEFECTS) >= 6


FILES = [d for d in DEFECTS if d.code.startswith(("PDF_", "FILE_", "IMAGE_", "NOT_", "DPI_M")) and d.spoil]


@pytest.mark.parametrize("defect", [d for d in FILES if d.code != "FILE_MISSING"], ids=lambda d: d.code)
def test_bad_file_has_just_the_fault_it_claims(tmp_path: Path, defect) -> None:  # type: ignore[no-untyped-def]
    folder = write_defect(tmp_path, SEED, defect)
    manifest = Manifest.model_validate(yaml.safe_load((folder / MANIFEST).read_bytes()))
    with pytest.raises(SohoaError) as caught:
        inspect_file(folder / manifest.components[0].files[0], manifest.components[0].dpi)
    assert caught.value.code == defect.code
    for path in sorted((folder / "rescan/1").iterdir()):
        inspect_file(path, manifest.components[0].dpi)


@pytest.mark.parametrize("code", ["NAME_NFD", "MANIFEST_INVALID"])
def test_wrong_declarations_are_refused_by_their_code(tmp_path: Path, code: str) -> None:
    folder = write_defect(tmp_path, SEED, next(d for d in DEFECTS if d.code == code))
    with pytest.raises(SohoaError) as caught:
        parse_manifest((folder / MANIFEST).read_bytes())
    assert caught.value.code == code


@pytest.mark.parametrize("type_code", sorted(FORMS))
@pytest.mark.parametrize("seed", SEEDS)
def test_no_text_overlaps_or_leaves_the_sheet(type_code: str, seed: int) -> None:
    paper, _ = make_document(seed, 1, type_code, dpi=100)
    for sheet in paper.sheets:
        assert len(sheet.boxes) > 4
        for n, (x0, y0, x1, y1, text) in enumerate(sheet.boxes):
            assert x0 > 4 and y0 > 4 and x1 < sheet.width - 4 and y1 < sheet.height - 4, text
            for other in sheet.boxes[:n]:
                across = min(x1, other[2]) - max(x0, other[0])
                down = min(y1, other[3]) - max(y0, other[1])
                assert not (across > 0.6 and down > 0.6), (text, other[4])


@pytest.mark.parametrize("type_code", sorted(FORMS))
@pytest.mark.parametrize("seed", SEEDS)
def test_printed_values_stand_in_the_text(type_code: str, seed: int) -> None:
    """What the truth says is on the paper is printed there (dates and codes in their printed form)."""
    paper, _ = make_document(seed, 2, type_code, dpi=100)
    text = " ".join(" ".join(sheet.lines) for sheet in paper.sheets).casefold()
    for name in ("owner_id", "full_name", "number_symbol", "organisation_name"):
        value = paper.fields.get(name)
        assert value is None or value.casefold() in text, name
    for name in ("title", "issuer", "abstract"):
        value = paper.fields.get(name)
        assert value is None or all(word in text for word in value.casefold().split()), name
    day = paper.fields["issue_date"]
    if day:
        printed = date.fromisoformat(day)
        assert people.dotted(printed) in text or people.spelled(printed) in text


def test_single_documents_carry_their_resolution(tmp_path: Path) -> None:
    paper, look = make_document(5, 1, "LOCAL:C65-HD")
    write_document(tmp_path, paper, look)
    with Image.open(tmp_path / "page-0001.jpg") as image:
        assert image.mode == "RGB" and round(image.info["dpi"][0]) == look.dpi >= 200
    truth = json.loads((tmp_path / "truth.json").read_text(encoding="utf-8"))
    assert truth["fields"]["title"] == "GIẤY CHỨNG NHẬN NGHỈ VIỆC HƯỞNG BẢO HIỂM XÃ HỘI" and truth["pages"] == 1
