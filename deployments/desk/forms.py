"""Between the page's form and the form of the pause: what the officer changed becomes corrections and absences."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Any

from tasks.pauses.form import Answer
from tasks.pauses.registry import pauses
from tasks.pauses.verification import CorrectionReason, VerificationDecision
from tasks.verification.review import ComponentView, FieldView

ISO = re.compile(r"\d{4}-\d{2}-\d{2}")
TYPED = re.compile(r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})", re.ASCII)


def shown(value: str | None) -> str:
    """A value as officers read and type it: days as dd/mm/yyyy."""
    if value and ISO.fullmatch(value):
        try:
            return f"{date.fromisoformat(value):%d/%m/%Y}"
        except ValueError:
            return value
    return value or ""


def iso_day(typed: str) -> str:
    """A day as officers type it (dd/mm/yyyy, also d/m/yyyy or with dots) in ISO form; anything else as it is."""
    found = TYPED.fullmatch(typed.strip())
    return f"{found[3]}-{int(found[2]):02}-{int(found[1]):02}" if found else typed


def key(kind: str, component: ComponentView, field: FieldView) -> str:
    """Name of an input: v value, r reason, a absent."""
    return f"{kind}.{component.ordinal}.{field.name}"


def numbers(form: Mapping[str, Any], prefix: str) -> list[int]:
    """Ordinals of the boxes ``<prefix>.<ordinal>`` that were ticked."""
    found = (re.fullmatch(rf"{prefix}\.(\d{{1,4}})", name) for name in form)
    return sorted(int(match[1]) for match in found if match)


def pages(form: Mapping[str, Any], prefix: str) -> list[dict[str, int]]:
    """Pages of the boxes ``<prefix>.<ordinal>.<page>`` that were ticked."""
    found = (re.fullmatch(rf"{prefix}\.(\d{{1,4}})\.(\d{{1,4}})", name) for name in form)
    return [{"component": c, "page": p} for c, p in sorted((int(m[1]), int(m[2])) for m in found if m)]


SPLITS = 3  # images with two papers, of one answer
SPLIT = ("component", "page", "side", "at", "type")


def splits(form: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Images with two papers: rows ``split.<row>.<item>`` in which a side was chosen."""
    rows = [{item: str(form.get(f"split.{row}.{item}", "")).strip() for item in SPLIT} for row in range(SPLITS)]
    return [{item: value for item, value in row.items() if value} for row in rows if row["side"]]


def articles(form: Mapping[str, Any]) -> list[str]:
    """The content of the result: each line is an article."""
    return [line.strip() for line in str(form.get("result", "")).splitlines() if line.strip()]


def verification_form(form: Mapping[str, Any], components: list[ComponentView]) -> dict[str, Any]:
    """What the officer typed on the review page, as the form of the pause `verification`."""
    corrections, absent = [], []
    for component in components:
        for field in component.fields:
            place = {"component": component.ordinal, "field": field.name}
            typed = str(form.get(key("v", component, field), shown(field.value))).strip()
            if form.get(key("a", component, field)):
                absent.append(place)
            elif typed and typed != shown(field.value):
                reason = str(form.get(key("r", component, field)) or _reason(field))
                corrections.append(place | {"value": typed, "reason": reason})
    return {
        "decision": str(form.get("decision", "")),
        "flagged_checked": bool(form.get("flagged_checked")),
        "originals_seen": bool(form.get("originals_seen")),
        # Sent back: nothing is confirmed yet, so nothing is set.
        "corrections": corrections if form.get("decision") == VerificationDecision.DUYET else [],
        "absent": absent if form.get("decision") == VerificationDecision.DUYET else [],
        "rescan": numbers(form, "rescan"),
        "rescan_pages": pages(form, "rescan"),
        "split": splits(form),
        "result": articles(form) if form.get("decision") == VerificationDecision.DUYET else [],
        "reason": str(form.get("reason", "")),
    }


def _reason(field: FieldView) -> str:
    return (CorrectionReason.NHAN_DANG_SAI if field.value else CorrectionReason.BO_SOT).value


def papers(form: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Captured papers as the page showed them: ``paper.<ordinal>`` = attempt:SHA-256."""
    found = []
    for name, value in form.items():
        match = re.fullmatch(r"paper\.(\d{1,4})", name)
        if match and (said := re.fullmatch(r"(\d{1,6}):([0-9a-f]{64})", str(value))):
            found.append({"component": int(match[1]), "attempt": int(said[1]), "sha256": said[2]})
    return sorted(found, key=lambda paper: int(paper["component"]))


def pause_form(stage: str, form: Mapping[str, Any], components: list[ComponentView]) -> dict[str, Any]:
    """The form of any pause from what was posted.

    An item that a pause adds is read by its type, under its own name: boxes ``<name>.<ordinal>`` for ordinals of
    components, one box for yes or no, else what was typed. Pages that need more are read here.
    """
    if stage == "verification":
        return verification_form(form, components)
    answer: dict[str, Any] = {"decision": str(form.get("decision", "")), "reason": str(form.get("reason", ""))}
    if stage == "sign":
        return answer | {"papers": papers(form)}
    for name, field in pauses()[stage].form.model_fields.items():
        if name in Answer.model_fields:
            continue
        if field.annotation == list[int]:
            answer[name] = numbers(form, name)
        elif field.annotation is bool:
            answer[name] = bool(form.get(name))
        elif name in form:
            answer[name] = str(form[name])
    return answer
