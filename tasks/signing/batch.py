"""The papers of a dossier signed together: many signatures with one authorisation (Điều 8.1, 9.4; CSC 1.0.4, 11.6).

Remote services (CSC) get all hashes with one request; where the officer confirms on a phone, that is one confirmation
for the dossier. A token's session is kept by the process anyway. One paper that can't be signed doesn't keep the others
from it, and each is signed once, however often the batch is run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from sqlmodel import select

from blocks.errors import Remedy, SohoaError
from blocks.ids import DocumentId, DossierId
from blocks.objects import ObjectStore
from blocks.records import RecordsDatabase
from blocks.records.queries import get_document
from blocks.records.states import SignatureRole
from blocks.records.tables import Document, Dossier, Signature
from blocks.signer import (
    PinNeeded,
    PinRefused,
    SignatureDeclined,
    SignaturePending,
    Signer,
    agency_signer,
    signer_for,
)
from blocks.trust import Trust, run
from tasks.artifacts import progress_shown
from tasks.signing.deferred import collect
from tasks.signing.pins import unlocked
from tasks.signing.sign import (
    prepare_capture,
    prepare_result,
    sign_agency,
    sign_capture,
    sign_manifest,
    sign_result,
)
from tasks.signing.signature_rows import SignatureReport

Work = Callable[[DocumentId], Any]


@dataclass
class Batch:
    """Signed, waiting for the officer's confirmation, failed: each document is in one of them."""

    signed: dict[DocumentId, list[SignatureReport]] = field(default_factory=dict)
    waiting: list[DocumentId] = field(default_factory=list)
    pin: bool = False  # the person must type the PIN (again): then all that isn't signed waits
    failed: dict[DocumentId, SohoaError] = field(default_factory=dict)

    def require(self) -> None:
        """Raise what kept a document from being signed; what heals by itself first, so that it is tried again."""
        for error in sorted(self.failed.values(), key=lambda error: error.remedy is not Remedy.RETRY):
            raise error


def sign_captures(
    records: RecordsDatabase, objects: ObjectStore, ids: Sequence[DocumentId], *, trust: Trust | None = None
) -> Batch:
    """The officer's signature on these papers of one dossier (CA01–CA03): `sign_capture` for each of them.

    Raises SignerUnknown and errors of the records; all that concerns one paper is in the batch.
    """
    trust, batch = trust or Trust(), Batch()
    if not ids:
        return batch
    with records.session() as session:
        query = select(Dossier).join(Document).where(Document.id == ids[0])
        dossier = session.exec(query).one()
    signer = signer_for(dossier.captured_by)
    with unlocked(records, dossier.id, "sign", dossier.captured_by, signer) as ready:
        if not ready:
            return _asked_for_pin(batch, [one for one in ids if not _is_signed(records, one, SignatureRole.OFFICER)])
        if signer.is_deferred:
            _each(batch, ids, None, lambda one: prepare_capture(records, objects, one, trust=trust))
            _confirmed(batch, ids, collect(records, dossier.id, signer, SignatureRole.OFFICER))
        _each(batch, ids, signer, lambda one: [sign_capture(records, objects, one, trust=trust)], "ca-nhan")
    return _closed(batch, signer)


def sign_issued_results(
    records: RecordsDatabase,
    objects: ObjectStore,
    dossier_id: DossierId,
    ids: Sequence[DocumentId],
    officer: str,
    *,
    trust: Trust | None = None,
) -> Batch:
    """The signature of who may sign them on the results of one dossier (B4e): `sign_result` for each of them.

    Raises SignerUnknown; all that concerns one result is in the batch.
    """
    trust, batch = trust or Trust(), Batch()
    if not ids:
        return batch
    signer = signer_for(officer)
    with unlocked(records, dossier_id, "issue", officer, signer) as ready:
        if not ready:
            return _asked_for_pin(batch, [one for one in ids if not _is_signed(records, one, SignatureRole.SIGNER)])
        if signer.is_deferred:
            _each(batch, ids, None, lambda one: prepare_result(records, objects, one, officer, trust=trust))
            _confirmed(batch, ids, collect(records, dossier_id, signer, SignatureRole.SIGNER))
        _each(batch, ids, signer, lambda one: [sign_result(records, objects, one, officer, trust=trust)], "ban-hanh")
    return _closed(batch, signer)


def _is_signed(records: RecordsDatabase, document_id: DocumentId, role: SignatureRole) -> bool:
    with records.session() as session:
        document = get_document(session, document_id)
        query = select(Signature.id).where(
            Signature.document_id == document_id, Signature.role == role, Signature.attempt == document.attempt
        )
        return session.exec(query).first() is not None


def _asked_for_pin(batch: Batch, ids: Sequence[DocumentId]) -> Batch:
    batch.waiting, batch.pin = list(ids), bool(ids)
    return batch


def _closed(batch: Batch, signer: Signer) -> Batch:
    """After a typed PIN: a wrong one is asked for again, and nobody else signs with the open token.

    Where an outage is waited out, the token stays open for the next try of this process: the PIN is used up.
    """
    if not signer.asks_pin:
        return batch
    wrong = [one for one, error in batch.failed.items() if isinstance(error, PinRefused | PinNeeded)]
    for one in wrong:
        del batch.failed[one]
    batch.waiting += wrong
    batch.pin = bool(wrong)
    if not any(error.remedy is Remedy.RETRY for error in batch.failed.values()) and isinstance(signer, Closable):
        signer.close()
    return batch


@runtime_checkable
class Closable(Protocol):
    """A signer that keeps a session."""

    def close(self) -> None: ...


def _confirmed(batch: Batch, ids: Sequence[DocumentId], missing: Mapping[DocumentId, SohoaError]) -> None:
    """Who has not confirmed yet, or declined, is waited for; what else is missing has failed."""
    for one in [one for one in ids if one in missing]:
        if isinstance(missing[one], SignaturePending | SignatureDeclined):
            batch.waiting.append(one)
        else:
            batch.failed[one] = missing[one]


def sign_results(
    records: RecordsDatabase, objects: ObjectStore, ids: Sequence[DocumentId], *, trust: Trust | None = None
) -> Batch:
    """The agency's signatures on these papers and their data (EX17): `sign_agency`, `sign_manifest` for each."""
    trust, batch = trust or Trust(), Batch()

    def both(one: DocumentId) -> list[SignatureReport]:
        return [step(records, objects, one, trust=trust) for step in (sign_agency, sign_manifest)]

    _each(batch, ids, agency_signer(), both, "co-quan")
    return batch


def _each(batch: Batch, ids: Sequence[DocumentId], signer: Signer | None, work: Work, bar: str = "chuan-bi") -> None:
    """Do the work for each document that hasn't failed or to wait; at the same time where that saves authorisations.

    bar: under which name operations see how far it is.
    """
    left = [one for one in ids if one not in batch.failed and one not in batch.waiting]
    try:
        size = run(signer.max_batch_size()) if signer and not signer.is_deferred else 1
    except SohoaError as error:
        batch.failed |= dict.fromkeys(left, error)
        return
    with progress_shown(f"ky-{bar}-{ids[0]}", f"Ký số {len(left)} giấy tờ", len(left)) as one_more:
        for start in range(0, len(left), size):
            group = left[start : start + size]
            with _together(signer, len(group)) as leave, ThreadPoolExecutor(len(group)) as pool:

                def one_of(one: DocumentId, leave: Callable[[], None] = leave) -> Any:
                    try:
                        return work(one)
                    except SohoaError as error:
                        return error
                    finally:
                        leave()
                        one_more()

                for one, made in zip(group, pool.map(one_of, group), strict=True):
                    if isinstance(made, SohoaError):
                        batch.failed[one] = made
                    elif made is not None:
                        batch.signed[one] = made


@contextmanager
def _together(signer: Signer | None, count: int) -> Iterator[Callable[[], None]]:
    """The hashes of so many documents are sent together. Yields what each calls when it has ended."""
    if signer is None or count < 2:
        yield lambda: None
        return
    opened: Any = run(signer.open())
    run(opened.enter(count))
    yield lambda: run(opened.leave())
