"""Attacks by files: code that runs inside the sandbox, and certificates that would have us ask somebody."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from asn1crypto import pem
from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from blocks import egress, sandbox
from blocks.objects import ObjectStore
from blocks.records import RecordsDatabase
from blocks.records.states import ElectronicOriginal, Form
from blocks.sandbox import LimitBroken, Limits, NoWalls, keeper, locks
from blocks.trust import Trust, run
from tasks.intake.electronic_originals import examine_originals
from tasks.intake.reception import receive
from tasks.pauses.verification import Verification
from tasks.pauses.verification import check as check_verification
from tasks.signing.report import lines
from tasks.signing.sandbox import verify_untrusted
from tests.attack.plugin import Attack
from tests.conftest import ROOT, TestPki
from tests.tasks.intake.test_electronic_originals import CATALOG, changed, signed_with, submitted
from tests.tasks.lawcase import RECEIVED, get
from tests.tasks.signing.conftest import signing_settings, trust  # noqa: F401

HOSTILE = "tests.attack.hostile:"
REFUSED = {"PermissionError", "FileNotFoundError", "ValueError", "OSError", "MemoryError", "ProcessLookupError"}


def hostile(function: str, arguments: dict[str, Any] | None = None, **wanted: Any) -> Any:
    """Run a function as a file would that has taken over its parser."""
    return sandbox.run(HOSTILE + function, arguments or {}, wanted.pop("files", {}), **wanted)


def all_refused(found: dict[str, str]) -> str:
    assert set(found.values()) <= REFUSED, found
    return ", ".join(sorted(set(found.values())))


@contextmanager
def listening() -> Iterator[tuple[int, list[str]]]:
    """A service on this machine that notes what it is asked: port, requests."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(f"{self.command} {self.path}")
            self.send_response(204)
            self.end_headers()

        do_POST = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1], seen
    finally:
        server.shutdown()
        server.server_close()


# -- inside the sandbox -----------------------------------------------------------------------------------------------
def test_secrets_from_inside(attack: Attack, home: Path) -> None:
    (home / "gateway").mkdir(exist_ok=True)
    secrets = [home / "stack.env", home / "gateway" / "decisions.key"]
    for path in secrets:
        path.write_text("SOHOA_DATABASE_URL=postgresql://…" if path.suffix == ".env" else "PRIVATE KEY")
        path.chmod(0o644)  # even where the administrator forgot to protect them
    try:
        with attack("A file's code in the parser reads stack.env and the decision key (mode 0644)") as told:
            found = hostile(
                "read", {"paths": [*map(str, secrets), "/etc/passwd", "/root/.ssh", str(ROOT / "README.md")]}
            )
            told.answered(all_refused(found))
            told.proved("no byte of 5 files was read")
    finally:
        secrets[0].unlink()
        secrets[1].unlink()


def test_environment_from_inside(attack: Attack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOHOA_S3_SECRET_KEY", "not for parsers")
    with attack("A file's code reads its own environment and that of the process that asked") as told:
        found = hostile("environment", {"parent": os.getpid()})
        own = found.pop("own")
        assert own.pop("PREFECT_HOME") == "/nonexistent"
        assert not [name for name in own if name.startswith(("SOHOA_", "PREFECT_", "AWS_"))]
        told.answered(all_refused(found))
        told.proved("its own environment names: " + " ".join(sorted(own)))


def test_listing_from_inside(attack: Attack, home: Path) -> None:
    with attack("A file's code lists the folders of the installation and all processes") as told:
        told.answered(all_refused(hostile("listing", {"paths": [str(home), "/", "/proc", "/tmp", "/home"]})))
        told.proved("no name was listed")


def test_network_from_inside(attack: Attack, tmp_path: Path) -> None:
    place = str(tmp_path / "local.socket")
    with listening() as (port, seen), socket.socket(socket.AF_UNIX) as local:
        local.bind(place)
        local.listen()
        with attack("A file's code connects to services of this machine: TCP, UDP, a UNIX socket, netlink") as told:
            told.answered(all_refused(hostile("sockets", {"host": "127.0.0.1", "port": port, "unix": place})))
            local.settimeout(0.2)
            with pytest.raises(TimeoutError):
                local.accept()
            assert seen == []
            told.proved("nobody connected to either service")


def test_writing_from_inside(attack: Attack, tmp_path: Path) -> None:
    victim = tmp_path / "record.pdf"
    victim.write_bytes(b"record")
    victim.chmod(0o666)
    tmp_path.chmod(0o777)
    paths = [str(tmp_path / "new"), "/tmp/sohoa-attack", "/dev/shm/sohoa-attack", "/var/tmp/sohoa-attack"]
    with attack(
        "A file's code writes where everybody may, and deletes, renames, truncates, opens up a file",
        watch=lambda: (victim.read_bytes(), victim.stat().st_mode, sorted(map(str, tmp_path.iterdir()))),
    ) as told:
        told.answered(all_refused(hostile("write", {"paths": paths, "victim": str(victim)})))
        assert not any(Path(path).exists() for path in paths)


def test_processes_from_inside(attack: Attack) -> None:
    with attack("A file's code starts processes: fork, exec, posix_spawn (a fork bomb has no first step)") as told:
        told.answered(all_refused(hostile("fork_bomb")))
        told.proved("no process more in the keeper's group")


def test_other_processes_from_inside(attack: Attack) -> None:
    pids = [os.getpid(), 1]
    with attack("A file's code kills, traces, reads and limits the worker and the keeper") as told:
        told.answered(all_refused(hostile("attack_processes", {"pids": pids})))
        keepers = sandbox._keepers["tests.attack.hostile"].process
        assert keepers.poll() is None
        told.proved("worker and keeper go on")


def test_rights_from_inside(attack: Attack) -> None:
    with attack("A file's code asks for a user namespace, root, a mount, bpf, io_uring, higher limits") as told:
        told.answered(all_refused(hostile("break_walls")))
        told.proved("all refused by the kernel")


@pytest.mark.parametrize("shared", [False, True])
def test_memory_from_inside(attack: Attack, shared: bool) -> None:
    kind = "shared" if shared else "private"
    held = bytearray(1_500_000_000)  # what the process that asks holds raises no limit
    held[::4096] = b"x" * len(held[::4096])
    sandbox.close()
    with attack(f"A file's code takes 4 GB of {kind} memory") as told:
        with pytest.raises(LimitBroken) as caught:
            hostile("memory", {"shared": shared}, limits=Limits(memory=300_000_000, seconds=20))
        told.answered(caught.value.code)
        told.proved("its process ended at the limit; the next file is served: " + str(hostile("stay")))


def test_time_from_inside(attack: Attack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "WALL_FACTOR", 2)
    for function, told_as in (("spin", "never ends"), ("sleep", "hangs without using the processor")):
        with attack(f"A file's code {told_as}") as told:
            began = time.monotonic()
            with pytest.raises(LimitBroken) as caught:
                hostile(function, limits=Limits(seconds=1))
            told.answered(f"{caught.value.code} after the limit")
            assert time.monotonic() - began < 60
            told.proved("its process is gone, others are served")


def test_output_from_inside(attack: Attack, tmp_path: Path) -> None:
    with attack("A file's code fills the disk with output", watch=lambda: _size(tmp_path) < 4_000_001) as told:
        with pytest.raises(LimitBroken) as caught:
            hostile("flood", {"size": 1_000_000}, limits=Limits(output=4_000_000), out=tmp_path)
        told.answered(caught.value.code)
    outside = tmp_path / "out"
    outside.mkdir()
    for name in ("../record.pdf", "/etc/cron.d/x", ".hidden", "a/b", "x" * 200):
        with attack(f"A file's code names its output {name[:20]}", watch=lambda: sorted(outside.iterdir())) as told:
            with pytest.raises(LimitBroken) as caught:
                hostile("named", {"name": name}, out=outside)
            told.answered(caught.value.code)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_answers_from_inside(attack: Attack) -> None:
    """Whatever bytes come out, they are an answer or a refusal: no error of ours by a name of its choice, no crash."""
    forged = json.dumps({"error": "blocks.trust:RevocationUnavailable", "details": {}}).encode()
    frame = b"E\x00" + len(forged).to_bytes(8, "little") + forged
    for data in (b"", b"\xff" * 60, b"E\x00" + b"\xff" * 8, b"E\x00\x02" + bytes(7) + b"{]", frame):
        with attack(f"A file's code answers with {len(data)} bytes of its own making") as told:
            with pytest.raises(LimitBroken) as caught:
                hostile("raw", {"data": data.hex()})
            told.answered(caught.value.code)
            told.proved("nothing of it was believed")
    with pytest.raises(LimitBroken):
        hostile("crash")


def test_the_next_file_finds_nothing_of_the_last(attack: Attack) -> None:
    with attack("A file's code stays in the process to lie about the next file") as told:
        told.answered(f"marks found by the second file: {hostile('stay') + hostile('stay') - 2}")
        assert hostile("stay") == 1
        told.proved("each file has a process of its own")
    with attack("A file's code changes the file that it was given") as told:
        found = hostile("change_input", files={"file": b"as it came"})
        assert "DONE" not in found
        told.answered(found)
        told.proved("the handle can only be read")


def test_all_walls_stand_here(attack: Attack, monkeypatch: pytest.MonkeyPatch) -> None:
    """What this machine offers is in force; a machine that offers nothing opens no foreign file outside test."""
    walls = hostile("walls_seen", walls=True)
    assert keeper.sufficient(walls), walls
    assert walls["landlock"] == locks.landlock_version()
    user = locks.other_user()
    if user and (walls["files"] or locks.may_read(user, locks.code_folders(ROOT, "tests"))):
        assert walls["uid"] != 0 and walls["user"] in {locks.JAIL_USER, "nobody"}
    nothing = dict.fromkeys(("network", "files", "user", "landlock", "seccomp"), False)
    with attack("A machine without namespaces, Landlock and seccomp is to open a file in production") as told:
        assert not keeper.sufficient(nothing)
        assert not keeper.sufficient(nothing | {"seccomp": True}) and not keeper.sufficient(nothing | {"landlock": 7})
        with pytest.raises(NoWalls) as caught:
            sandbox._understood(json.dumps({"open": nothing}).encode(), ())
        told.answered(caught.value.code)
        told.proved("the function wasn't called")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may be root")
def test_a_container_below_a_private_folder(attack: Attack, tmp_path: Path) -> None:
    """Root without the right to mount, and code that no other user may read, as in a container with a copy in /root."""
    private = tmp_path / "root"
    private.mkdir(mode=0o700)
    for name in ("blocks", "tasks"):
        shutil.copytree(ROOT / name, private / name, ignore=shutil.ignore_patterns("models", "__pycache__"))
    look = "import json; from blocks.sandbox import probe; print(json.dumps(probe.look()))"
    contained = ["setpriv", "--bounding-set=-sys_admin", sys.executable, "-P", "-c", look]
    environment = os.environ | {"PYTHONPATH": str(private)}
    with attack("A file's code in the parser of a container that may not mount") as told:
        done = subprocess.run(contained, env=environment, cwd="/", capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        walls, possible = json.loads(done.stdout)
        assert any(wall.startswith("Landlock") for wall in walls) and "hệ tệp riêng" not in walls
        told.answered({"walls": walls, "possible": possible})
        assert not possible
        told.proved("no socket, no file of ours, no process")


# -- certificates that would have us ask somebody ----------------------------------------------------------------------
def certificate(url: str, issuer: asn1.Certificate | None = None, subject: str = "UBND xã X") -> tuple[bytes, bytes]:
    """Key and certificate (PEM) that name `url` for issuer, OCSP and CRL; signed by nobody we know.

    issuer: whose name and key identifier it claims, without having the key.
    """
    key, foreign = (rsa.generate_private_key(65537, 2048) for _ in range(2))
    now = datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    above = x509.load_der_x509_certificate(issuer.dump()).subject if issuer else name
    place = x509.UniformResourceIdentifier(url)
    usage = x509.KeyUsage(True, True, False, False, False, False, False, False, False)
    access = [AuthorityInformationAccessOID.CA_ISSUERS, AuthorityInformationAccessOID.OCSP]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(above)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=9))
        .not_valid_after(now + timedelta(days=900))
        .add_extension(usage, True)
        .add_extension(
            x509.AuthorityInformationAccess([x509.AccessDescription(kind, place) for kind in access]), False
        )
        .add_extension(
            x509.CRLDistributionPoints([x509.DistributionPoint([place], None, None, None)]), False
        )
    )  # fmt: skip
    if issuer and issuer.key_identifier:
        made = made.add_extension(x509.AuthorityKeyIdentifier(issuer.key_identifier, None, None), False)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private, made.sign(foreign, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def signed_by(folder: Path, made: tuple[bytes, bytes], trust: Trust) -> Path:  # noqa: F811
    """A PDF that is signed with that key and certificate."""
    place = folder / "pki"
    for name in ("keys", "certs", "intermediates"):
        (place / name).mkdir(parents=True)
    (place / "keys/x.pem").write_bytes(made[0])
    (place / "certs/x.pem").write_bytes(made[1])
    path = folder / "hostile.pdf"
    path.write_bytes(signed_with(place, trust, "x", stamped=False))
    return path


@pytest.mark.parametrize("claims", [False, True])
def test_a_certificate_names_a_service_of_this_machine(
    attack: Attack,
    pki: TestPki,
    trust: Trust,  # noqa: F811
    tmp_path: Path,
    claims: bool,
) -> None:
    """First of the three chains: the address deletes a bucket on an object store's master port."""
    whose = "claims to be issued by our CA" if claims else "is issued by nobody"
    issuer = trust.intermediates[0] if claims else None
    with listening() as (port, seen):
        url = f"http://127.0.0.1:{port}/col/delete?collection=sohoa-records"
        path = signed_by(tmp_path, certificate(url, issuer), trust)
        with attack(f"A signed PDF whose certificate {whose} and names the object store's master port") as told:
            verdict = verify_untrusted(path, stamped=False)
            assert not verdict.valid
            told.answered(verdict.signatures[0].code)
            assert seen == []
            told.proved("0 requests reached the port")


def test_addresses_of_the_own_network_are_not_asked(attack: Attack, trust: Trust) -> None:  # noqa: F811
    way = trust.way()
    with listening() as (port, seen):
        for url in (
            "http://169.254.169.254/latest/meta-data/", "http://10.0.0.5/ocsp", "http://[::1]:24211/dir/status",
            f"http://127.0.0.1:{port}/", f"http://2130706433:{port}/", f"http://0x7f000001:{port}/",
            f"http://127.1:{port}/", f"http://localhost:{port}/", f"http://[::ffff:127.0.0.1]:{port}/",
            "http://intranet/crl", "file:///etc/passwd", "gopher://127.0.0.1/", "ldap://127.0.0.1/",
            f"http://user@127.0.0.1:{port}/",
        ):  # fmt: skip
            with attack(f"A proven certificate names {url.replace(str(port), 'PORT')}") as told:
                with pytest.raises(egress.Refused) as caught:
                    run(egress.fetch(way, "crl", url, b"", 2))
                told.answered(caught.value)
                assert seen == []
                told.proved("nothing was sent")


def test_a_listed_name_that_leads_inside(attack: Attack, monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS rebinding: a name is resolved once, and what was checked is what is connected to."""
    calls: list[str] = []

    async def getaddrinfo(self: Any, host: str, port: int, **_: Any) -> Any:
        calls.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    with listening() as (port, seen):
        monkeypatch.setenv("SOHOA_FETCH_HOSTS", f"ocsp.example.vn:{port}")
        monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)
        with attack("A listed host's name is led to 127.0.0.1 (DNS rebinding)") as told:
            with pytest.raises(egress.Failed) as caught:
                run(egress.fetch(egress.way([]), "crl", f"http://ocsp.example.vn:{port}/x", b"", 2))
            told.answered(f"{type(caught.value).__name__}: no public address")
            assert seen == [] and calls == ["ocsp.example.vn"]
            told.proved("resolved once, checked, not connected")


def test_a_listed_host_leads_elsewhere(attack: Attack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Redirects aren't followed, answers are bounded; a listed address of the own network is asked."""
    with listening() as (inner, seen):

        class Redirects(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(302 if self.path == "/go" else 200)
                self.send_header("Location", f"http://127.0.0.1:{inner}/col/delete")
                self.end_headers()
                if self.path != "/go":
                    for _ in range(60):
                        self.wfile.write(bytes(1 << 20))

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Redirects)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_address[1]
        monkeypatch.setenv("SOHOA_FETCH_HOSTS", f"crl.example.vn:{port}=127.0.0.1")
        try:
            for path, told_as in (("go", "redirects to the object store"), ("big", "never stops answering")):
                with attack(f"A listed revocation service {told_as}") as told:
                    with pytest.raises(egress.Failed) as caught:
                        run(egress.fetch(egress.way([]), "crl", f"http://crl.example.vn:{port}/{path}", b"", 20))
                    told.answered(caught.value)
                    assert seen == []
                    told.proved("the other address wasn't asked")
        finally:
            server.shutdown()
            server.server_close()


def test_public_addresses_only() -> None:
    for address in (
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
        "240.0.0.1", "::1", "::", "fe80::1%eth0", "fc00::1", "ff02::1", "::ffff:10.0.0.1", "64:ff9b::7f00:1",
        "2002:7f00:1::", "2001:0:7f00:1::", "not an address",
    ):  # fmt: skip
        assert not egress.public(address), address
    assert egress.public("93.184.216.34") and egress.public("2606:2800:220:1::1")


# -- whose signature --------------------------------------------------------------------------------------------------
def test_a_person_poses_as_the_agency(
    attack: Attack,
    pki: TestPki,
    trust: Trust,  # noqa: F811
    tmp_path: Path,
) -> None:
    path = tmp_path / "posing.pdf"
    path.write_bytes(signed_with(pki.folder, trust, "tnhs.01", field="CoQuanSaoY"))
    with attack("A person's own certificate signs a page in the agency's field CoQuanSaoY") as told:
        verdict = verify_untrusted(path)
        told_lines = "\n".join(lines(verdict))
        assert verdict.of("AGENCY") is None and not verdict.whole and verdict.missing == ["NOT_AGENCY"]
        assert "Chữ ký số cơ quan của" not in told_lines and "KHÔNG phải của cơ quan" in told_lines
        told.answered(f"{verdict.code}, exit status 2")
        told.proved("role " + verdict.signatures[0].role)


def test_a_file_is_changed_after_signing(
    attack: Attack,
    pki: TestPki,
    trust: Trust,  # noqa: F811
    tmp_path: Path,
) -> None:
    path = tmp_path / "changed.pdf"
    path.write_bytes(changed(signed_with(pki.folder, trust, "gq.02")))
    with attack("A file is changed after it was signed and verified in the sandbox") as told:
        verdict = verify_untrusted(path)
        assert not verdict.valid
        told.answered(verdict.signatures[0].code)
        told.proved("not valid")


@pytest.mark.parametrize(
    ("form", "kind"),
    [(Form.E_COPY_REGISTER, "LOCAL:TRICH-LUC-KHAI-SINH"), (Form.ORIGINAL, "LOCAL:GIAY-RA-VIEN")],
)
def test_a_citizen_signs_an_electronic_original(
    attack: Attack,
    records: RecordsDatabase,
    objects: ObjectStore,
    pki: TestPki,
    trust: Trust,  # noqa: F811
    form: Form,
    kind: str,
) -> None:
    """A valid signature says who signed, not that they may issue such a paper."""
    dossier_id, document_id = submitted(records, objects, signed_with(pki.folder, trust, "gq.02"), form)
    with attack(f"A person's own valid certificate signs an electronic original ({form}, {kind})") as told:
        (report,) = examine_originals(records, objects, CATALOG, dossier_id)
        assert (report.found, report.code) == (ElectronicOriginal.INVALID, "NOT_ISSUER")
        received = receive(records, CATALOG, dossier_id, "tnhs.01", at=RECEIVED)
        assert not received.accepted and "ELECTRONIC_INVALID" in {problem.code for problem in received.problems}
        told.answered("ELECTRONIC_INVALID: waits for a supplement")
        told.audited("examine_original NOT_ISSUER")
        told.proved(f"record under lock: {get(records, document_id).record_key}")


def test_nobody_approves_an_electronic_original_unseen(
    attack: Attack,
    records: RecordsDatabase,
    objects: ObjectStore,
    pki: TestPki,
    trust: Trust,  # noqa: F811
) -> None:
    dossier_id, _ = submitted(records, objects, signed_with(pki.folder, trust, "ubnd"))
    examine_originals(records, objects, CATALOG, dossier_id)
    said = {"decision": "DUYET", "officer": "gq.01", "flagged_checked": True, "originals_seen": False}
    with attack("An officer approves a case without having looked at its electronic original") as told:
        faults = check_verification(dossier_id, Verification.model_validate(said))
        (asked,) = [fault for fault in faults if "bản điện tử gốc" in fault]
        told.answered(asked)
        told.proved("asked again, nothing confirmed")


def test_certificates_of_the_trust_folder_name_the_list(trust: Trust) -> None:  # noqa: F811
    """What may be asked comes from the CA certificates, and nothing else from the TEST PKI's port is open besides."""
    named = {egress._place(url) for item in trust.authorities for url in egress.urls(item)}
    assert trust.way().places == {place for place in named if place}
    leaf = asn1.Certificate.load(pem.unarmor((Path(os.environ["SOHOA_PKI_DIR"]) / "certs/gq.01.pem").read_bytes())[2])
    assert all(trust.way().admit(url) for url in egress.urls(leaf))
