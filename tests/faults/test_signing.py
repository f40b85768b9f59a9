"""Signing under fire, on real parts: processes that are killed, full disks, PINs, clocks (CA01, CA02, LU06).

Never two signatures, never none: what was killed is done again, and finds what the first run left.
"""

from __future__ import annotations

import ctypes
import os
import resource
import select as selecting
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlmodel import col, select

from blocks import trust as trusting
from blocks.catalog import Catalog
from blocks.objects import Bucket, ObjectStore, document_key
from blocks.records import RecordsDatabase
from blocks.records.states import DocumentState, SignatureRole
from blocks.records.tables import ArchivedObject, AuditEntry, Signature
from blocks.settings.sections import PreservationSettings
from blocks.signer import PinRefused, Signer, SoftKeySigner, signer_for
from blocks.trust import TimestampClock, Trust, run
from infra.local import token
from infra.local.pki import ARCHITECTURE, _architecture, ensure_pki, tsa_url
from infra.local.process import free_port
from infra.local.seaweed import Seaweed
from tasks.archive.fixity import check_fixity, objects_to_check
from tasks.archive.renewal import renew_proof
from tasks.archive.store import store_record
from tasks.signing.batch import sign_captures
from tasks.signing.errors import DiskFull
from tasks.signing.pdf import sign_as_officer
from tasks.signing.sign import sign_agency, sign_capture, sign_manifest
from tasks.signing.verify import verify_manifest, verify_pdf
from tests.blocks.test_devices import folder, in_process, listing, on_token  # noqa: F401  (fixtures)
from tests.conftest import ROOT, TestPki
from tests.faults.proxy import FaultyProxy
from tests.faults.stack import until
from tests.support.csc_server import PIN, control
from tests.tasks.signing.conftest import signing_settings  # noqa: F401
from tests.tasks.signing.helpers import blank_pdf
from tests.tasks.signing.test_deferred import csc, listed  # noqa: F401  (fixtures)
from tests.tasks.signing.test_steps import Case

PATIENCE = 180  # seconds for a child to get to its point: it imports everything, and the machine may be busy
SIGN = """
import sys
from uuid import UUID
from blocks.errors import SohoaError
from blocks.objects import ObjectStore
from blocks.records import RecordsDatabase
from blocks.trust import Trust
from tasks.archive.fixity import *
from tasks.archive.renewal import *
from tasks.signing.batch import *
from tasks.signing.sign import *
try:
    {call}
    print("DONE")
except SohoaError as error:
    print(error.code, error.remedy, str(error))
"""


def child(call: str, **environment: str) -> subprocess.Popen[str]:
    """A process that does this with the real parts; what it leaves behind lies in the folder of this test run."""
    everything = os.environ | {"TMPDIR": os.environ["SOHOA_HOME"]} | environment
    command = [sys.executable, "-c", SIGN.format(call=call)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, env=everything, stdout=pipe, stderr=pipe, text=True)


def step(name: str, document: UUID) -> str:
    return f"{name}(RecordsDatabase(), ObjectStore(), UUID({str(document)!r}))"


def kill(process: subprocess.Popen[str]) -> None:
    assert process.poll() is None, process.communicate()
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait(10) == -signal.SIGKILL


@contextmanager
def locked(records: RecordsDatabase, table: str, row: UUID) -> Iterator[Callable[[], bool]]:
    """Somebody else holds this row. Yields: does anyone wait for a lock?"""
    with records.engine.connect() as connection:
        connection.execute(text(f"SELECT id FROM {table} WHERE id = :row FOR UPDATE"), {"row": row})
        with records.engine.connect() as looking:
            query = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")

            def waiting() -> bool:
                found = looking.execute(query).scalar()
                looking.rollback()
                return bool(found)

            yield waiting
        connection.rollback()


# -- killed between signing and storing -----------------------------------------------------------------------------
@pytest.fixture
def case(records: RecordsDatabase, objects: ObjectStore, pki: TestPki) -> Case:
    return Case(records, objects)


ROLES = {
    "sign_capture": (sign_capture, SignatureRole.OFFICER, "officer.pdf"),
    "sign_agency": (sign_agency, SignatureRole.AGENCY, "agency.pdf"),
    "sign_manifest": (sign_manifest, SignatureRole.MANIFEST, "manifest.p7s"),
}


@pytest.mark.usefixtures("signing_settings")
@pytest.mark.parametrize("moment", ["before it is stored", "stored, not answered", "stored, no row"])
@pytest.mark.parametrize("name", ROLES)
def test_CA01_EX17_killed_between_signing_and_storing(case: Case, seaweed: Seaweed, name: str, moment: str) -> None:
    sign, role, file = ROLES[name]
    if role is not SignatureRole.OFFICER:
        sign_capture(case.records, case.objects, case.id)
        case.to_signoff()
    if role is SignatureRole.MANIFEST:
        sign_agency(case.records, case.objects, case.id)
    before = case.document().state
    if moment == "stored, no row":
        with locked(case.records, "document", case.id) as waiting:
            process = child(step(name, case.id))
            until(waiting, PATIENCE, lambda: str(process.poll()))
            kill(process)
    else:
        with FaultyProxy(seaweed.ports[0]) as proxy:
            proxy.hold, proxy.forward = file.encode(), moment == "stored, not answered"
            process = child(step(name, case.id), SOHOA_S3_ENDPOINT=f"http://127.0.0.1:{proxy.port}")
            assert proxy.held.wait(PATIENCE)
            if proxy.forward:
                until(lambda: case.objects.exists(Bucket.WORKING, case.key(file)))
            kill(process)
    key = case.key(file)
    left = case.objects.unproven(Bucket.WORKING, key)[1] if case.objects.exists(Bucket.WORKING, key) else None
    assert (left is None) == (moment == "before it is stored")
    assert case.document().state is before and role not in {row.role for row in case.signatures()}

    report = sign(case.records, case.objects, case.id)
    assert left is None or report.sha256 == left.sha256, "what the killed process stored is the signed file"
    assert [row.role for row in case.signatures()].count(role) == 1
    data = case.objects.read(Bucket.WORKING, case.key(file), sha256=report.sha256)
    if role is SignatureRole.MANIFEST:
        verdict = verify_manifest(case.objects.unproven(Bucket.WORKING, case.key("manifest.json"))[0], data, Trust())
    else:
        verdict = verify_pdf(data, Trust())
    assert verdict.valid and len(verdict.signatures) == (2 if role is SignatureRole.AGENCY else 1)
    assert sign(case.records, case.objects, case.id).already


def test_CA01_a_batch_that_was_killed_in_the_middle(
    case: Case, seaweed: Seaweed, csc: str, listed: Callable[..., None], monkeypatch: pytest.MonkeyPatch  # noqa: F811
) -> None:  # fmt: skip
    """One authorisation for four papers; the process dies when three are stored. Only the fourth is signed anew."""
    monkeypatch.setenv("CSC_PIN", PIN)
    listed(pin="env:CSC_PIN")
    control(csc, pin=PIN, reset=True)
    ids = [case.id, *(case.another(ordinal) for ordinal in (2, 3, 4))]
    names = ", ".join(f"UUID({str(one)!r})" for one in ids)
    call = f"sign_captures(RecordsDatabase(), ObjectStore(), [{names}])"

    def done() -> int:
        with case.records.session() as session:
            query = select(Signature).where(col(Signature.document_id).in_(ids))
            return len(session.exec(query).all())

    with FaultyProxy(seaweed.ports[0]) as proxy:
        proxy.hold = f"{ids[2]}/1/officer.pdf".encode()
        process = child(call, SOHOA_S3_ENDPOINT=f"http://127.0.0.1:{proxy.port}")
        assert proxy.held.wait(PATIENCE), process.poll()
        until(lambda: done() == 3)
        kill(process)
    assert control(csc)["authorize"] == 1 and control(csc)["hashes"] == 4
    batch = sign_captures(case.records, case.objects, ids)
    batch.require()
    again = [one for one in ids if not batch.signed[one][0].already]
    assert again == [ids[2]] and done() == 4 and control(csc)["hashes"] == 5
    for one in ids:
        key = document_key(case.dossier_id, one, 1, "officer.pdf")
        assert len(verify_pdf(case.objects.unproven(Bucket.WORKING, key)[0], Trust()).signatures) == 1


# -- full disks -----------------------------------------------------------------------------------------------------
@contextmanager
def small_disk(place: Path, size: int) -> Iterator[Path]:
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place], capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


@pytest.mark.usefixtures("signing_settings")
def test_CA01_a_full_disk_is_one_clear_error_and_nothing_is_lost(case: Case, tmp_path: Path) -> None:
    """A tmpfs with room for the copy, not for its signature."""
    with small_disk(tmp_path / "small", (len(case.data) // 4096 + 3) * 4096) as small:
        told, trouble = child(step("sign_capture", case.id), TMPDIR=str(small)).communicate(timeout=PATIENCE)
        assert told.split()[:2] == [DiskFull.code, "RETRY"] and "giải phóng dung lượng" in told, trouble
        assert not list(small.iterdir()), "nothing stays behind"
    assert not case.signatures() and case.document().state is DocumentState.DAT_KIEM_TRA
    assert not case.objects.exists(Bucket.WORKING, case.key("officer.pdf"))
    assert case.objects.unproven(Bucket.WORKING, case.key("built.pdf"))[0] == case.data
    assert sign_capture(case.records, case.objects, case.id).valid


@pytest.mark.usefixtures("signing_settings")
def test_EX17_a_file_that_may_not_grow_is_not_signed_in_part(case: Case) -> None:
    """RLIMIT_FSIZE, as a quota does it, for the agency's signature."""
    sign_capture(case.records, case.objects, case.id)
    case.to_signoff()
    document = case.document()
    size = case.objects.unproven(Bucket.WORKING, document.file_key or "")[1].size
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({size + 5000}, {size + 5000})); "
    told, trouble = child(limit + step("sign_agency", case.id)).communicate(timeout=PATIENCE)
    assert told.split()[:2] == [DiskFull.code, "RETRY"], trouble
    assert case.document().file_sha256 == document.file_sha256 and len(case.signatures()) == 1
    assert sign_agency(case.records, case.objects, case.id).valid
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


# -- PINs -----------------------------------------------------------------------------------------------------------
class Watched:
    """Counts how often a file is written and closed (inotify)."""

    def __init__(self, path: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self.handle = libc.inotify_init1(os.O_NONBLOCK)
        assert libc.inotify_add_watch(self.handle, bytes(path), 0x8) >= 0  # IN_CLOSE_WRITE

    def count(self) -> int:
        """Since the last call; an event without a name has 16 bytes."""
        found = 0
        while selecting.select([self.handle], [], [], 0.2)[0]:
            found += len(os.read(self.handle, 1 << 16)) // 16
        return found


def test_CA01_a_wrong_pin_reaches_the_token_once(
    on_token: Signer, folder: Path, monkeypatch: pytest.MonkeyPatch  # noqa: F811
) -> None:  # fmt: skip
    """SoftHSM writes its flags at each login, which counts them. Other processes, also many, don't ask it again."""
    label = folder.parent.name
    (state,) = (folder / "token" / "store").rglob("token.object")
    watched = Watched(state)
    wrong = "from pathlib import Path; import pkcs11, sys\n" + (
        "try: pkcs11.lib(sys.argv[1]).get_token(token_label=sys.argv[2]).open(user_pin='00000001')\n"
        "except pkcs11.exceptions.PinIncorrect: print('REFUSED')"
    )
    environment = os.environ | {"SOFTHSM2_CONF": str(folder / "token" / "softhsm2.conf")}
    arguments = [sys.executable, "-c", wrong, str(token.module()), label]
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == "REFUSED"
    one_login = watched.count()
    assert one_login > 0
    (folder / "agency.pin").write_text("00000001")
    processes = [in_process("held") for _ in range(3)]
    assert processes == [PinRefused.code] * 3
    assert watched.count() == one_login


def test_softhsm_never_locks_so_we_must_not_guess(on_token: Signer, folder: Path) -> None:  # noqa: F811
    """What the test above is for: this token would let us try for ever, a real one is locked after a few."""
    code = """
import pkcs11, sys
token = pkcs11.lib(sys.argv[1]).get_token(token_label=sys.argv[2])
for _ in range(30):
    try: token.open(user_pin="00000001")
    except pkcs11.exceptions.PinIncorrect: pass
print("OPEN" if token.open(user_pin=sys.argv[3]) else "")
"""
    environment = os.environ | {"SOFTHSM2_CONF": str(folder / "token" / "softhsm2.conf")}
    arguments = [str(token.module()), folder.parent.name, (folder / "agency.pin").read_text().strip()]
    done = subprocess.run([sys.executable, "-c", code, *arguments], env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == "OPEN", done.stderr


# -- clocks ---------------------------------------------------------------------------------------------------------
@pytest.mark.usefixtures("signing_settings")
@pytest.mark.parametrize("hours", [-26, -1, 1, 26, 24 * 1200])
def test_CA02_a_wrong_clock_is_named_whatever_it_makes_look_wrong(pki: TestPki, tmp_path: Path, hours: int) -> None:
    """This machine's clock is so many hours fast against honest services (time-stamps, OCSP, CRL), and they agree.

    Answers about revocation look stale or too young, certificates expired; the officer is told of the clock.
    """
    from certomancer.integrations.animator import Animator, AnimatorArchStore
    from certomancer.registry import ArchLabel
    from werkzeug.serving import make_server

    port, place = free_port(), tmp_path / "pki"
    url = f"http://127.0.0.1:{port}"
    ensure_pki(place, url)
    services = AnimatorArchStore({ArchLabel(ARCHITECTURE): _architecture(place)})
    honest = Animator(services, at_time=datetime.now(UTC) - timedelta(hours=hours), with_web_ui=False)
    server = make_server("127.0.0.1", port, honest, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    trusting._answers.cache_clear()  # answers of another authority of the same name
    agency = SoftKeySigner(key_path=place / "keys/agency.pem", certificate_path=place / "certs/agency.pem")
    path = tmp_path / "a.pdf"
    path.write_bytes(blank_pdf())
    trust = Trust(folder=place, tsa_url=tsa_url(url))
    try:
        with pytest.raises(TimestampClock) as caught:
            run(sign_as_officer(path, signer_for("tnhs.01", place), agency, datetime.now(UTC), trust))
        assert "Đồng hồ" in caught.value.text
    finally:
        server.shutdown()
        trusting._answers.cache_clear()
    assert not verify_pdf(path, Trust()).valid


# -- preservation ---------------------------------------------------------------------------------------------------
@pytest.fixture
def stored(case: Case) -> Case:
    sign_capture(case.records, case.objects, case.id)
    case.to_signoff()
    sign_agency(case.records, case.objects, case.id)
    sign_manifest(case.records, case.objects, case.id)
    store_record(case.records, case.objects, Catalog(), case.id, "gq.01")
    return case


def archived(case: Case) -> list[ArchivedObject]:
    with case.records.session() as session:
        query = select(ArchivedObject).where(ArchivedObject.document_id == case.id)
        return sorted(session.exec(query), key=lambda row: (row.kind, row.number))


@pytest.mark.usefixtures("signing_settings")
def test_LU06_a_check_that_was_killed_goes_on_where_it_was(stored: Case) -> None:
    start = datetime.now(UTC)
    due = objects_to_check(stored.records, 100, PreservationSettings(fixity_days=0))
    names = "[" + ", ".join(f"UUID({str(one)!r})" for one in due) + "]"
    with locked(stored.records, "archivedobject", due[2]) as waiting:
        process = child(f"check_fixity(RecordsDatabase(), ObjectStore(), {names})")
        until(waiting, PATIENCE, lambda: str(process.poll()))
        kill(process)
    looked = [row.id for row in archived(stored) if row.checked_at > start]
    assert set(looked) == set(due[:2])
    left = [
        one for one in objects_to_check(stored.records, 100, PreservationSettings(fixity_days=0)) if one not in looked
    ]
    assert left == due[2:]
    assert check_fixity(stored.records, stored.objects, left).damaged == []
    assert all(row.checked_at > start and row.intact for row in archived(stored))


@pytest.mark.usefixtures("signing_settings")
@pytest.mark.parametrize("moment", ["before it is stored", "stored, no row"])
def test_LU06_a_renewal_that_was_killed_is_done_once(
    stored: Case, seaweed: Seaweed, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOHOA_RENEWAL_DAYS", "4000")
    record = next(row for row in archived(stored) if row.kind == "record.pdf")
    call = f"renew_proof(RecordsDatabase(), ObjectStore(), UUID({str(stored.id)!r}), Trust())"
    if moment == "stored, no row":
        with locked(stored.records, "archivedobject", record.id) as waiting:
            process = child(call)
            until(waiting, PATIENCE, lambda: str(process.poll()))
            kill(process)
    else:
        with FaultyProxy(seaweed.ports[0]) as proxy:
            proxy.hold = b"record.r0001.pdf"
            process = child(call, SOHOA_S3_ENDPOINT=f"http://127.0.0.1:{proxy.port}")
            assert proxy.held.wait(PATIENCE)
            kill(process)
    assert all(row.number == 0 for row in archived(stored))
    assert renew_proof(stored.records, stored.objects, stored.id, Trust()).renewed == ["record.pdf", "manifest.p7s"]
    monkeypatch.delenv("SOHOA_RENEWAL_DAYS")
    assert renew_proof(stored.records, stored.objects, stored.id, Trust()).renewed == []
    fresh = {row.kind: row for row in archived(stored) if row.number == 1}
    assert set(fresh) == {"record.pdf", "manifest.p7s"}
    key = fresh["record.pdf"].object_key
    assert len(list(stored.objects.versions(Bucket.RECORDS, key))) == 1
    data = stored.objects.read(Bucket.RECORDS, key, sha256=fresh["record.pdf"].sha256)
    assert verify_pdf(data, Trust()).valid
    with stored.records.session() as session:
        query = select(AuditEntry).where(AuditEntry.action == "renew", AuditEntry.document_id == stored.id)
        assert len(session.exec(query).all()) == 2
