"""WH01–WH03: who may decide where: the provider's groups and the office's list must both say so."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from blocks.catalog import Catalog
from blocks.catalog.staff import TEST_STAFF, Role, Staff, load_staff
from blocks.objects import ObjectStore
from blocks.orchestrator import Orchestrator
from blocks.records import RecordsDatabase
from blocks.records.tables import Dossier
from deployments.desk.auth.sessions import Officer, Session
from deployments.desk.counter import Counter
from deployments.desk.decisions import Decisions, why_not
from deployments.desk.pages.dossier import DossierPages
from deployments.desk.pages.rendering import Pages
from tasks.pauses.registry import decision_labels, pauses
from tasks.pauses.rescan import RESCAN
from tasks.verification.review import NotAssignedToUnit
from tests.tasks.lawcase import make_dossier

DOSSIER = Dossier(submission="s", unit_id="BHXH-TEST", procedure_code="1", captured_by="tnhs.02")


def officer(name: str, *grants: tuple[str, Role]) -> Officer:
    return Officer(name, frozenset((unit, role.value) for unit, role in grants))


def code(person: Officer, stage: str) -> str | None:
    refusal = why_not(person, DOSSIER, pauses()[stage], load_staff())
    return refusal[0] if refusal else None


def test_group_unit_list_and_four_eyes(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve = ("BHXH-TEST", Role.RESOLVE)
    assert code(officer("gq.01", resolve), "verification") is None
    assert code(officer("gq.01", ("BHXH-TEST", Role.RECEIVE)), "verification") == "WRONG_ROLE"
    assert code(officer("gq.01", ("BHXH-KHAC", Role.RESOLVE)), "verification") == "WRONG_UNIT"
    assert code(officer("ai.do", resolve), "verification") == "OFFICER_NOT_ASSIGNED"
    assert code(officer("tnhs.02", resolve), "verification") == "SAME_PERSON"
    monkeypatch.setenv("SOHOA_FOUR_EYES", "false")  # an office of one
    assert code(officer("tnhs.02", resolve), "verification") is None


def test_WH02_a_delegation_ends_on_its_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    delegate = officer("buudien.01", ("BHXH-TEST", Role.RECEIVE))
    assert code(delegate, "rescan") is None
    ended = {
        "delegations": [
            {
                "id": "buudien.01",
                "units": ["BHXH-TEST"],
                "roles": ["RECEIVE"],
                "delegated_by": "ld.01",
                "document": "01/UQ-BHXH",
                "valid_from": "2024-01-01",
                "valid_to": "2024-12-31",
            }
        ]
    }
    (tmp_path / "staff.yaml").write_text(yaml.safe_dump(ended))
    monkeypatch.setenv("SOHOA_STAFF_FILE", str(tmp_path / "staff.yaml"))
    refusal = why_not(delegate, DOSSIER, RESCAN, load_staff())
    assert refusal is not None and refusal[0] == "OUT_OF_TIME"
    assert refusal[1].startswith("Ủy quyền theo văn bản 01/UQ-BHXH đã hết hiệu lực sau ngày 31/12/2024")


def test_a_page_reads_the_list_once(
    records: RecordsDatabase, objects: ObjectStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    reads: list[object] = []
    validated = Staff.model_validate
    monkeypatch.setattr(Staff, "model_validate", lambda content: reads.append(content) or validated(content))
    listed = tmp_path / "staff.yaml"
    listed.write_bytes(TEST_STAFF.read_bytes())  # one that was never read before
    monkeypatch.setenv("SOHOA_STAFF_FILE", str(listed))
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    dossier_id, _ = make_dossier(records, ["LOCAL:GIAY-RA-VIEN"])
    session = Session(officer("gq.01", ("BHXH-TEST", Role.RESOLVE)), 0.0, 0.0)
    prefect, catalog = Orchestrator(), Catalog()
    decisions, counter = Decisions(records, prefect, tmp_path / "none"), Counter(records, objects, catalog, prefect)
    pages = DossierPages(Pages(500), records, objects, catalog, decisions, counter)
    for _ in range(2):
        assert pages.show_review(session, dossier_id).status_code == 200 and len(reads) == 1
    listed.write_bytes(TEST_STAFF.read_bytes().replace(b"gq.01", b"gq.07"))
    with pytest.raises(NotAssignedToUnit):  # taken off the list: the next look is refused
        pages.show_review(session, dossier_id)


def test_each_pause_has_a_button_with_words_for_each_of_its_decisions() -> None:
    assert len(pauses()) >= 12
    for name, pause in pauses().items():
        kind = pause.form.model_fields["decision"].annotation
        assert name == pause.name and pause.label and kind is not None
        assert set(pause.choices) == set(kind) and all(pause.choices.values())
        assert all(decision_labels()[choice] == label for choice, label in pause.choices.items())
        assert set(pause.words_of) <= set(pauses())
