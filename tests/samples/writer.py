"""Writes a dossier as the counter hands it in: dossier.yaml, scans, truth.json, text of each page."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path

import yaml

from tests.samples.documents import write_text
from tests.samples.dossiers import PUBLIC, Component, Dossier
from tests.samples.ink import sticky_note
from tests.samples.scan import Pixels, jpeg_bytes, scan, write_pdf, write_tiff
from tests.samples.sheet import Sheet

UNIT, OFFICER = "BHXH-TEST", "tnhs.01"


def with_note(sheet: Sheet, text: str, seed: int) -> Sheet:
    """The same sheet with a sticky note on it; its own truth is not kept (it is the clean page's)."""
    noted = Sheet(sheet.look, sheet.width, sheet.height, list(sheet.lines))
    noted.image = sheet.image.copy()
    noted.draw = copy.copy(sheet.draw)
    rng = random.Random(seed)
    sticky_note(noted, rng, sheet.width * 0.55, sheet.height * rng.uniform(0.35, 0.5), text)
    return noted


def images(component: Component) -> list[Pixels]:
    """All images of a component in the order of scanning: P clean ones and one with note before each noted page."""
    assert component.paper is not None
    out = []
    for number, sheet in enumerate(component.paper.sheets, 1):
        if number in component.notes:
            noted = with_note(sheet, component.notes[number], component.look.seed)
            out.append(scan(noted.image, component.look, 100 + number))
        out.append(scan(sheet.image, component.look, number))
    return out


def write_scans(folder: Path, component: Component, pixels: list[Pixels], first: int = 1) -> list[str]:
    """Files of one component under folder; returns their names. Numbered as a scanner does."""
    folder.mkdir(parents=True, exist_ok=True)
    dpi, quality = component.look.dpi, component.look.quality
    if component.container == "tif":
        write_tiff(folder / f"{first:04d}.tif", pixels, dpi)
        return [f"{first:04d}.tif"]
    jpegs = [jpeg_bytes(p, dpi, quality) for p in pixels]
    if component.container == "pdf":
        write_pdf(folder / f"{first:04d}.pdf", jpegs)
        return [f"{first:04d}.pdf"]
    names = [f"{n:04d}.jpg" for n in range(first, first + len(jpegs))]
    for name, data in zip(names, jpegs, strict=True):
        (folder / name).write_bytes(data)
    return names


def component_entry(component: Component, files: list[str]) -> dict[str, object]:
    entry: dict[str, object] = {
        "type": component.type_code,
        "form": component.form,
        "pages": len(component.paper.sheets) if component.paper else 1,
        "note_pages": sorted(component.notes),
        "dpi": component.look.dpi,
        "flags": dict(component.flags),
        "files": files,
    }
    return entry


def manifest(dossier: Dossier, entries: list[dict[str, object]]) -> dict[str, object]:
    captured = sum(1 for c in dossier.components if c.paper is not None)
    return {
        "version": 1,
        "unit": UNIT,
        "procedure": dossier.procedure,
        "captured_by": OFFICER,
        "originals": captured if dossier.originals is None else dossier.originals,
        "owner": dossier.owner_entry(),
        "transitional": False,
        "components": entries,
    }


def write_manifest(path: Path, body: dict[str, object]) -> None:
    path.write_text(yaml.safe_dump(body, allow_unicode=True, sort_keys=False, width=120), encoding="utf-8")


def truth_body(dossier: Dossier) -> dict[str, object]:
    documents = []
    for ordinal, component in enumerate(dossier.components, 1):
        documents.append(
            {
                "ordinal": ordinal,
                "type_code": component.type_code,
                "pages": len(component.paper.sheets) if component.paper else 0,
                "fields": component.paper.fields if component.paper else {},
                "expected_state": dossier.expected(component),
            }
        )
    return {
        "name": dossier.name,
        "story": dossier.story,
        "set": dossier.group,
        "defect": dossier.defect,
        "problem_codes": dossier.problem_codes,
        "expected_state": dossier.state,
        "public_status": PUBLIC[dossier.state],
        "documents": documents,
    }


def write_truth(folder: Path, dossier: Dossier) -> None:
    body = truth_body(dossier)
    (folder / "truth.json").write_text(json.dumps(body, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    for ordinal, component in enumerate(dossier.components, 1):
        if component.paper is not None:
            write_text(folder / "text", ordinal, component.paper)


def write_dossier(out: Path, dossier: Dossier) -> Path:
    """A dossier without faults."""
    folder = out / dossier.name
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for ordinal, component in enumerate(dossier.components, 1):
        files: list[str] = []
        if component.paper is not None:
            names = write_scans(folder / f"c{ordinal}", component, images(component))
            files = [f"c{ordinal}/{name}" for name in names]
        entries.append(component_entry(component, files))
    write_manifest(folder / "dossier.yaml", manifest(dossier, entries))
    write_truth(folder, dossier)
    return folder
