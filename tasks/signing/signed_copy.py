"""A document's file is signed as a copy, verified and only then stored, under a key that is written once."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from blocks.errors import ObjectConflict
from blocks.objects import Bucket, ObjectStore, StoredObject, file_key
from blocks.records.states import SignatureRole
from blocks.records.tables import Document
from blocks.signer import Signer
from blocks.trust import Trust
from tasks.signing.errors import (
    DiskFull,
    ForeignFile,
    SignatureInvalid,
)
from tasks.signing.verify import (
    SignatureVerdict,
    Verdict,
    prefix_sha256,
    verify_again,
    verify_pdf,
)

PDF_TYPE = "application/pdf"


def signed_copy(
    objects: ObjectStore,
    document: Document,
    name: str,
    role: SignatureRole,
    signer: Signer,
    trust: Trust,
    sign: Callable[[Path], None],
) -> tuple[Verdict, StoredObject]:
    """Sign a copy of the document's file, verify, store; or adopt what an earlier run stored under that key.

    Nobody vouches for what lies there already: it must be the document's file with this signer's valid signature after
    it. Raises ForeignFile, SignatureInvalid.
    """
    key = file_key(document, name)
    with file_to_sign(objects, document, name) as path:
        size = path.stat().st_size
        if not objects.exists(Bucket.WORKING, key):
            sign(path)
            verdict = verify_again(path, trust)
            require_valid(verdict, role, signer)
            with suppress(ObjectConflict):  # another run was faster: what it stored is the signed file
                return verdict, objects.put_once(Bucket.WORKING, key, path, content_type=PDF_TYPE)
        stored = objects.download_unproven(Bucket.WORKING, key, path)
        with path.open("rb") as stream:
            if prefix_sha256(stream, size) != document.file_sha256:
                raise ForeignFile()
        verdict = verify_pdf(path, trust)
        require_valid(verdict, role, signer)
        return verdict, stored


@contextmanager
def file_to_sign(objects: ObjectStore, document: Document, name: str) -> Iterator[Path]:
    """The document's file, to be signed in place."""
    if document.file_key is None or document.file_sha256 is None:
        raise ForeignFile()
    with tempfile.TemporaryDirectory(prefix="sohoa-sign-") as folder:
        path = Path(folder) / name
        try:
            objects.download(
                Bucket.WORKING, document.file_key, path, version=document.file_version, sha256=document.file_sha256
            )
            yield path
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
                raise DiskFull() from error
            raise


def require_valid(verdict: Verdict, role: SignatureRole, signer: Signer) -> SignatureVerdict:
    """Every signature is valid and the one of `role` was made with the certificate of `signer`.

    The agency signs nothing that a person has not signed before it.
    """
    found = verdict.of(role.value)
    if not verdict.valid or found is None or found.serial != f"{signer.certificate.serial_number:x}":
        raise SignatureInvalid()
    persons = SignatureRole.OFFICER, SignatureRole.SIGNER
    if role is SignatureRole.AGENCY and not any(verdict.of(person.value) for person in persons):
        raise SignatureInvalid()
    return found
