"""Every defect of the samples, judged without flow and stack: its code, and what to do (CA04–CA10).

`make test-all` plays all of them through the stack as well; `make test` one of each family.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from blocks.catalog import Catalog
from blocks.errors import SohoaError
from blocks.objects import ObjectStore
from blocks.records import RecordsDatabase
from blocks.records.states import DossierState
from tasks.capture.document import CaptureReport, capture
from tasks.intake.electronic_originals import examine_originals
from tasks.intake.reception import receive
from tasks.intake.submission import register
from tasks.pauses import rescan, supplement
from tasks.pauses.form import as_markdown
from tasks.progress import advance
from tasks.scope.decide import decide_scope
from tests.conftest import TestPki
from tests.journeys.samples import DEFECTS
from tests.players.officers import Sample
from tests.players.ways_in import by_folder
from tests.samples.__main__ import generate


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folders = generate(tmp_path_factory.mktemp("defects"), only=("d",))
    return {folder.name: folder for folder in folders}


def captured(records: RecordsDatabase, objects: ObjectStore, dossier: UUID) -> Iterator[CaptureReport]:
    advance(records, dossier, DossierState.SO_HOA, "B3c", "system")
    scope = decide_scope(records, objects, Catalog(), dossier, "system")
    for document in scope.to_capture:
        yield capture(records, objects, document, attempt=1)


@pytest.mark.parametrize("name", DEFECTS)
def test_CA04_CA10_a_defect_has_its_code_and_says_what_to_do(
    records: RecordsDatabase,
    objects: ObjectStore,
    pki: TestPki,
    monkeypatch: pytest.MonkeyPatch,
    drawn: dict[str, Path],
    name: str,
) -> None:
    monkeypatch.setattr(RecordsDatabase, "get", staticmethod(lambda: records))
    sample = Sample(drawn[name])
    wanted = set(sample.truth["problem_codes"])
    assert wanted
    try:
        submission = by_folder(records, objects, sample.folder)
    except SohoaError as refused:
        assert refused.code in wanted and re.search("vui lòng|hãy", refused.text)
        return
    dossier = register(records, objects, submission).dossier_id
    examine_originals(records, objects, Catalog(), dossier)
    report = receive(records, Catalog(), dossier, "tnhs.01")
    if not report.accepted:
        shown = supplement.describe(report.problems, dossier)
    else:
        reports = [*captured(records, objects, dossier)]
        shown = rescan.describe([problem for found in reports for problem in found.problems], dossier)
        shown += "\n" + as_markdown([notice for found in reports for notice in found.notices])  # at verification
    for code in wanted:
        line = next((line for line in shown.splitlines() if f"`{code}`" in line), "")
        assert re.match(r"- \w.*(vui lòng|hãy)", line) and line[2].isupper(), f"{code} in: {shown}"
