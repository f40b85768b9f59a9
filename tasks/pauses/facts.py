"""What several pauses ask of the records."""

from __future__ import annotations

from blocks.ids import DossierId
from blocks.records import RecordsDatabase
from blocks.records.queries import documents, get_dossier, open_requests
from blocks.records.states import DocumentState, SignatureRole
from blocks.records.tables import Document, Dossier
from blocks.signer import signer_for
from tasks.decisions.proofs import keyholder


def dossier_of(dossier_id: DossierId) -> Dossier:
    """The dossier, for reading. Raises DossierUnknown."""
    with RecordsDatabase.get().session() as session:
        dossier = get_dossier(session, dossier_id)
        session.expunge(dossier)
        return dossier


def ordinals(dossier_id: DossierId, state: DocumentState) -> list[int]:
    """Numbers of the components in a state."""
    with RecordsDatabase.get().session() as session:
        return [document.ordinal for document in documents(session, dossier_id, states=[state])]


def keyholder_of(dossier_id: DossierId, role: SignatureRole) -> str:
    """Officer id of whose signature it is; empty: nobody's yet."""
    with RecordsDatabase.get().session() as session:
        return keyholder(session, get_dossier(session, dossier_id), role)


def unconfirmed(dossier_id: DossierId, role: SignatureRole) -> list[tuple[int, bool]]:
    """(ordinal of the document, whether the person declined) of each signature that is still to be confirmed."""
    with RecordsDatabase.get().session() as session:
        return [
            (session.get_one(Document, request.document_id).ordinal, bool(request.state.get("declined")))
            for request in open_requests(session, dossier_id, role)
        ]


def signature_tells(role: SignatureRole, dossier_id: DossierId, officer: str) -> bool:
    """Whether the keyholder's signatures themselves are the answer, also after a change of assignments."""
    holder = keyholder_of(dossier_id, role)
    if not holder or officer != holder or not signer_for(holder).is_deferred:
        return False  # nobody is asked on a phone, so no signature tells
    return not unconfirmed(dossier_id, role)


def describe_unconfirmed(dossier_id: DossierId, role: SignatureRole, what: str) -> list[str]:
    """A line for each signature that is still to be confirmed on a phone."""
    return [
        f"- {what} {ordinal}: {'đã bị từ chối hoặc hết hạn' if declined else 'chờ xác nhận'}."
        for ordinal, declined in unconfirmed(dossier_id, role)
    ]


def describe_pin(officer: str, again: bool) -> list[str]:
    """For who signs with a token of one's own. again: a PIN was asked for before."""
    if not signer_for(officer).asks_pin:
        return []
    before = ["Mã PIN lần trước chưa được chấp nhận, chưa nhập hoặc đã hết hạn.", ""] if again else []
    return [*before, "Nhập mã PIN của chữ ký số; mã chỉ dùng một lần, trong 10 phút, và không được lưu lại.", ""]
