"""Danh mục: procedures, results, document types, the list of papers to digitise, retention, working days.

The entries are YAML beside this module (or in a folder the office names); they are checked once and then only read.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, ClassVar, TypeVar
from uuid import uuid4

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select

from blocks.catalog.models import (
    FOREVER,
    CatalogueInvalid,
    Coded,
    Dated,
    DigitiseList,
    DocumentType,
    Holidays,
    IssuedForm,
    IssuingBody,
    Procedure,
    ProcedureUnknown,
    Result,
    ResultUnknown,
    Retention,
    TypeUnknown,
)
from blocks.records import RecordsDatabase
from blocks.records.tables import CatalogueEntry
from blocks.service import Service

DATA = Path(__file__).parent / "data"
D = TypeVar("D", bound=Dated)
C = TypeVar("C", bound=Coded)


class _Content(BaseModel):
    procedures: tuple[Procedure, ...]
    document_types: tuple[DocumentType, ...]
    results: tuple[Result, ...]
    retention: tuple[Retention, ...]
    lists: tuple[DigitiseList, ...]
    issuers: tuple[IssuingBody, ...] = ()
    holidays: Holidays


def _yaml(folder: Path, name: str) -> Any:
    # libyaml's loader where PyYAML was built with it: every process reads the catalogue once at its start.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load((folder / f"{name}.yaml").read_text(encoding="utf-8"), Loader=loader)  # noqa: S506 - safe loaders


def prepare() -> None:
    """Read the installed catalogue now rather than at the first question."""
    read_catalogue(DATA)


@lru_cache
def read_catalogue(folder: Path) -> _Content:
    """Read and check one folder of YAML. Raises CatalogueInvalid naming the first entry that is wrong."""
    try:
        content = _Content(
            procedures=_yaml(folder, "procedures")["procedures"],
            document_types=_yaml(folder, "document_types")["document_types"],
            results=_yaml(folder, "results")["results"],
            retention=_yaml(folder, "retention")["retention"],
            lists=_yaml(folder, "digitise_lists")["lists"],
            issuers=_yaml(folder, "issuers")["issuers"] if (folder / "issuers.yaml").exists() else (),
            holidays=TypeAdapter(Holidays).validate_python(_yaml(folder, "holidays")),
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise CatalogueInvalid(entry=".".join(str(part) for part in first["loc"]) or "?") from error
    except (OSError, KeyError, yaml.YAMLError) as error:
        raise CatalogueInvalid(entry=str(error).splitlines()[0]) from error
    _check_dates(content)
    _check_references(content)
    return content


def _check_dates(content: _Content) -> None:
    """Two entries of one code may not apply on the same day."""
    for kind in (content.procedures, content.document_types, content.results, content.retention):
        seen: dict[str, list[Coded]] = {}
        for entry in kind:
            for other in seen.setdefault(entry.code, []):
                if entry.applies(other.valid_from) or other.applies(entry.valid_from):
                    raise CatalogueInvalid(entry=entry.code)
            seen[entry.code].append(entry)


def _check_references(content: _Content) -> None:
    """Every code that an entry names exists."""
    types = {entry.code for entry in content.document_types}
    results = {entry.code for entry in content.results}
    classes = {entry.code for entry in content.retention}
    for procedure in content.procedures:
        named = {code for group in procedure.components for code in group.any_of}
        if not named <= types or not set(procedure.results) <= results:
            raise CatalogueInvalid(entry=procedure.code)
    for entry in content.document_types:
        if entry.retention not in classes or (entry.result_code and entry.result_code not in results):
            raise CatalogueInvalid(entry=entry.code)
    for result in content.results:
        if result.retention not in classes or (result.issued and result.issued.type_code not in types):
            raise CatalogueInvalid(entry=result.code)
    for body in content.issuers:
        if not body.types <= types:
            raise CatalogueInvalid(entry=body.identifier)
    for papers in content.lists:
        if not papers.types <= types:
            raise CatalogueInvalid(entry=papers.version)


def _at(entries: Iterable[D], on: date) -> list[D]:
    return [entry for entry in entries if entry.applies(on)]


def _one(entries: Iterable[C], code: str, on: date) -> C | None:
    return next((entry for entry in entries if entry.code == code and entry.applies(on)), None)


class Catalog(Service):
    """Danh mục áp dụng tại một ngày (P10/11): ask with the date of the case, not with today's."""

    _block_type_name: ClassVar[str] = "Sohoa Catalog"
    _block_type_slug: ClassVar[str] = "sohoa-catalog"

    folder: Path | None = None  # None: the catalogue that is shipped

    @cached_property
    def content(self) -> _Content:
        return read_catalogue(self.folder or DATA)

    def procedure(self, code: str, on: date) -> Procedure:
        """Raises ProcedureUnknown."""
        found = _one(self.content.procedures, code, on)
        if found is None:
            raise ProcedureUnknown(procedure=code)
        return found

    def document_type(self, code: str, on: date) -> DocumentType:
        """Raises TypeUnknown."""
        found = _one(self.content.document_types, code, on)
        if found is None:
            raise TypeUnknown(type=code)
        return found

    def result(self, code: str, on: date) -> Result:
        """Raises ResultUnknown."""
        found = _one(self.content.results, code, on)
        if found is None:
            raise ResultUnknown(result=code)
        return found

    def issued_results(self, procedure: str, on: date) -> list[tuple[Result, IssuedForm]]:
        """The results of a procedure that are administrative documents, which this system issues (Điều 12)."""
        results = [self.result(code, on) for code in self.procedure(procedure, on).results]
        return [(result, result.issued) for result in results if result.issued is not None]

    def retention(self, code: str | None, on: date) -> Retention:
        """The retention class; an unknown one is `forever`: never deleted (LU06)."""
        found = _one(self.content.retention, code or FOREVER, on)
        if found is None:
            found = next(entry for entry in self.content.retention if entry.code == FOREVER)
        return found

    def issues(self, identifier: str, type_code: str, on: date) -> bool:
        """Whether the organisation with this identifier issues papers of this type (Điều 4.1)."""
        found = (body for body in _at(self.content.issuers, on) if body.identifier == identifier)
        return bool(identifier) and any(not body.types or type_code in body.types for body in found)

    def procedures(self, on: date) -> list[Procedure]:
        return _at(self.content.procedures, on)

    def document_types(self, on: date) -> list[DocumentType]:
        return _at(self.content.document_types, on)

    def listed(self, type_code: str, on: date) -> bool | None:
        """Whether the paper stands in the list of papers to digitise (SC03); None: no list is in force, so ask."""
        lists = _at(self.content.lists, on)
        if not lists:
            return None
        return any(type_code in papers.types for papers in lists)

    def is_working_day(self, day: date) -> bool:
        return self.content.holidays.is_working_day(day)

    def due_date(self, received: date, days: int) -> date:
        """Ngày hẹn trả kết quả: `days` working days after the day of reception. Raises CalendarUnknown."""
        return self.content.holidays.add_working_days(received, days)

    def working_days_left(self, today: date, due: date) -> int:
        """Working days from today to the deadline; below zero: overdue. Raises CalendarUnknown."""
        return self.content.holidays.working_days_left(today, due)

    def load_into(self, records: RecordsDatabase) -> int:
        """Keep what applies in the records database, for ever (P10/11). Idempotent: returns the rows added or changed.

        An entry is identified by kind, code and valid_from; only its end and its body may be corrected.
        """
        kinds: list[tuple[str, str, Dated]] = [
            *(("procedure", entry.code, entry) for entry in self.content.procedures),
            *(("document_type", entry.code, entry) for entry in self.content.document_types),
            *(("result", entry.code, entry) for entry in self.content.results),
            *(("retention", entry.code, entry) for entry in self.content.retention),
            *(("digitise_list", entry.version, entry) for entry in self.content.lists),
            *(("issuing_body", entry.identifier, entry) for entry in self.content.issuers),
        ]
        changed = 0
        with records.session() as session:
            for kind, code, entry in kinds:
                body = entry.model_dump(mode="json")
                if isinstance(entry, DigitiseList | IssuingBody):
                    body["types"] = sorted(body["types"])
                row = {
                    "kind": kind,
                    "code": code,
                    "valid_from": entry.valid_from,
                    "valid_to": entry.valid_to,
                    "source": entry.source,
                    "body": body,
                }
                kept = session.exec(
                    select(CatalogueEntry).where(
                        col(CatalogueEntry.kind) == kind,
                        col(CatalogueEntry.code) == code,
                        col(CatalogueEntry.valid_from) == entry.valid_from,
                    )
                ).first()
                if kept and (kept.valid_to, kept.source, kept.body) == (entry.valid_to, entry.source, body):
                    continue
                changed += 1
                session.execute(
                    insert(CatalogueEntry)
                    .values(id=uuid4(), **row)
                    .on_conflict_do_update(
                        index_elements=["kind", "code", "valid_from"],
                        set_={key: row[key] for key in ("valid_to", "source", "body")},
                    )
                )
        return changed
