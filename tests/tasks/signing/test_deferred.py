"""Signatures that the officer confirms on a phone, perhaps days later: a real signing service, deaths at every step."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlmodel import select

from blocks.errors import IntegrityError
from blocks.objects import Bucket, ObjectStore
from blocks.records import RecordsDatabase
from blocks.records.states import DocumentState
from blocks.records.tables import AuditEntry, SigningRequest
from blocks.settings import settings
from blocks.signer import KeyMismatch, RemoteUnavailable, SignaturePending
from blocks.signer.remote import RemoteSigner
from blocks.trust import CertificateExpired, CertificateRevoked, TimestampUnavailable, Trust
from tasks.signing import deferred
from tasks.signing import sign as steps
from tasks.signing.errors import SignatureInvalid
from tasks.signing.sign import sign_agency, sign_capture
from tasks.signing.verify import verify_pdf
from tests.conftest import ROOT, TestPki
from tests.support.csc_server import control, serving
from tests.tasks.signing.test_steps import Case

Listing = Callable[..., None]
pytestmark = pytest.mark.usefixtures("listed")


@pytest.fixture(scope="module")
def csc(pki: TestPki, home: Path) -> Iterator[str]:
    with serving(pki.folder, home / "csc-phone.log") as url:
        yield url


@pytest.fixture
def listed(csc: str, pki: TestPki, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Listing:
    """Officer tnhs.01 signs by a service and confirms elsewhere; call it to change the entry, or the agency's."""
    folder = tmp_path / "pki"
    shutil.copytree(pki.folder, folder, ignore=shutil.ignore_patterns(".lock"))
    monkeypatch.setenv("SOHOA_PKI_DIR", str(folder))
    monkeypatch.setenv("CSC_TOKEN", "access")

    def change(agency: dict[str, str] | None = None, officer: str = "tnhs.01", **entry: Any) -> None:
        known = yaml.safe_load((folder / "officers.yml").read_text())
        known["agency"] = agency or known["agency"]
        known["officers"][officer] |= entry
        (folder / "officers.yml").write_text(yaml.safe_dump(known, allow_unicode=True))

    change(kind="csc", url=csc, credential="test/tnhs.01", token="env:CSC_TOKEN", pin="")
    settings.cache_clear()
    control(csc, mode="ok", pin="", reset=True)
    return change


@pytest.fixture
def case(records: RecordsDatabase, objects: ObjectStore) -> Case:
    return Case(records, objects)


def sign(case: Case, trust: Trust | None = None) -> Any:
    return sign_capture(case.records, case.objects, case.id, trust=trust)


def request_of(case: Case) -> SigningRequest:
    with case.records.session() as session:
        return session.exec(select(SigningRequest).where(SigningRequest.document_id == case.id)).one()


def require_signed_once(case: Case, trust: Trust, csc: str) -> None:
    """One row, one request, one hash at the service, and the stored file verifies as B-LT."""
    [row] = case.signatures()
    request = request_of(case)
    assert request.signature and request.signed_at and control(csc)["hashes"] == 1
    data = case.objects.read(Bucket.WORKING, row.object_key, sha256=row.sha256)
    assert data.startswith(case.data), "the captured file is kept byte by byte (CA08)"
    [found] = verify_pdf(data, trust).signatures
    assert (found.valid, found.level, found.role, found.certification) == (True, "B-LT", "OFFICER", True)
    assert case.document().state is DocumentState.DA_KY_CA_NHAN


def test_CA01_confirmed_later(case: Case, trust: Trust, csc: str) -> None:
    control(csc, mode="pending")
    for _ in range(3):
        with pytest.raises(SignaturePending) as caught:
            sign(case)
    assert caught.value.remedy == "OFFICER"
    first = request_of(case)
    assert not case.signatures() and first.signature is None
    assert not case.objects.exists(Bucket.WORKING, case.key("officer.pdf"))
    control(csc, mode="ok")
    assert sign(case).level == "PAdES-B-LT"
    require_signed_once(case, trust, csc)
    assert request_of(case).digest == first.digest
    assert sign(case).already
    with case.records.session() as session:
        [asked] = session.exec(select(AuditEntry).where(AuditEntry.action == "sign-asked"))
    assert asked.details["digest"] == first.digest

    case.to_signoff()  # the agency's field was prepared with it
    assert sign_agency(case.records, case.objects, case.id).level == "PAdES-B-LTA"


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (deferred, "_ask"),  # prepared, nothing stored
        (SigningRequest, "__init__"),  # file stored, request not
        (RemoteSigner, "sign_digests"),  # request stored, service not asked
        (deferred, "require_fits"),  # service has signed, signature not stored
        (deferred, "_complete"),  # signature stored, file not
        (ObjectStore, "put_once"),  # second time: file complete, not stored
        (steps, "record_signature"),  # file stored, row not
    ],
)
def test_CA01_dies_between_the_steps(
    case: Case, trust: Trust, csc: str, owner: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Death(BaseException):
        pass

    real, calls = getattr(owner, name), []

    def dies(*arguments: Any, **named: Any) -> Any:
        calls.append(1)
        if name == "put_once" and len(calls) == 1:
            return real(*arguments, **named)
        raise Death

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, dies)
        with pytest.raises(Death):
            sign(case)
    assert not case.signatures() and case.document().state is DocumentState.DAT_KIEM_TRA
    sign(case)
    require_signed_once(case, trust, csc)


def test_CA01_killed_after_the_service_signed(case: Case, trust: Trust, csc: str) -> None:
    """SIGKILL in a process of its own, the signature only in its memory: the next process gets the same one."""
    code = f"""
import os, signal
from uuid import UUID
from blocks.objects import ObjectStore
from blocks.records import RecordsDatabase
from tasks.signing import deferred
from tasks.signing.sign import sign_capture
deferred.require_fits = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
sign_capture(RecordsDatabase(), ObjectStore(), UUID({str(case.id)!r}))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=os.environ, capture_output=True, timeout=180)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()[-2000:]
    assert control(csc)["sign"] == 1 and request_of(case).signature is None
    sign(case)
    require_signed_once(case, trust, csc)
    assert control(csc)["sign"] == 2  # asked twice for the one hash


def test_CA01_four_workers_ask_for_one_signature(case: Case, trust: Trust, csc: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(lambda _: sign(case), range(4)))
    assert len({report.sha256 for report in reports}) == 1
    require_signed_once(case, trust, csc)


@pytest.mark.parametrize("hash_too", [False, True])
def test_CA08_prepared_file_changed_before_the_signature_came(case: Case, csc: str, hash_too: bool) -> None:
    """By somebody with rights on the object store, or on the records besides: what was signed is another file."""
    control(csc, mode="pending")
    with pytest.raises(SignaturePending):
        sign(case)
    key = request_of(case).prepared_key
    data = bytearray(case.objects.unproven(Bucket.WORKING, key)[0])
    data[200] ^= 1
    case.objects.delete(Bucket.WORKING, key)
    stored = case.objects.put_once(Bucket.WORKING, key, bytes(data), content_type="application/pdf")
    if hash_too:
        with case.records.session() as session:
            row = session.exec(select(SigningRequest).where(SigningRequest.document_id == case.id)).one()
            row.prepared_sha256 = stored.sha256
            session.add(row)
    control(csc, mode="ok")
    with pytest.raises(SignatureInvalid if hash_too else IntegrityError):
        sign(case)
    assert not case.signatures() and not case.objects.exists(Bucket.WORKING, case.key("officer.pdf"))


def test_CA02_time_stamps_down_when_the_signature_comes(case: Case, trust: Trust, csc: str, pki: TestPki) -> None:
    with pytest.raises(TimestampUnavailable):
        sign(case, Trust(tsa_url="http://127.0.0.1:1/", timeout=0.5))
    control(csc, mode="pending")
    with pytest.raises(SignaturePending):
        sign(case)
    control(csc, mode="ok")
    with pytest.raises(TimestampUnavailable):
        sign(case, Trust(tsa_url="http://127.0.0.1:1/", timeout=0.5))
    control(csc, mode="down")  # the signature is kept: nobody confirms twice
    sign(case)
    require_signed_once(case, trust, csc)


def test_CA01_another_certificate_is_asked_anew(case: Case, trust: Trust, csc: str, listed: Listing) -> None:
    control(csc, mode="pending")
    with pytest.raises(SignaturePending):
        sign(case)
    old = request_of(case).digest
    control(csc, mode="ok", reset=True)
    listed(credential="test/tnhs.02", certificate="certs/tnhs.02.pem")
    sign(case)
    require_signed_once(case, trust, csc)
    assert request_of(case).digest != old
    with case.records.session() as session:
        [dropped] = session.exec(select(AuditEntry).where(AuditEntry.action == "sign-dropped"))
    assert dropped.details["digest"] == old


@pytest.mark.parametrize(("who", "refusal"), [("revoked", CertificateRevoked), ("expired", CertificateExpired)])
def test_CA01_nobody_is_asked_with_a_certificate_that_must_not_sign(
    case: Case, csc: str, listed: Listing, who: str, refusal: type[Exception]
) -> None:
    listed(credential=f"test/{who}", certificate=f"certs/{who}.pem")
    with pytest.raises(refusal):
        sign(case)
    assert control(csc)["authorize"] == 0
    with case.records.session() as session:
        assert not session.exec(select(SigningRequest)).all()


def test_CA01_service_down_or_with_another_key(case: Case, trust: Trust, csc: str, listed: Listing) -> None:
    control(csc, mode="down")
    with pytest.raises(RemoteUnavailable):
        sign(case)
    control(csc, mode="ok")
    listed(credential="test/gq.01")
    with pytest.raises(KeyMismatch):
        sign(case)
    listed(credential="test/tnhs.01")
    sign(case)
    require_signed_once(case, trust, csc)
