"""Strangers at the ports of the object store: without a key, with a certificate of their own, as another OS user."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from blocks.objects import Bucket, ObjectStore, StoredObject
from blocks.records.tables import now
from infra.local.seaweed import PORTS, WEED, Seaweed
from infra.local.seaweed_access import make_certificates, security
from tests.attack.plugin import Attack

NOBODY = 65534
REQUESTS = {
    "master": [
        ("GET", "/col/delete?collection=sohoa-records"),
        ("DELETE", "/col/delete?collection=sohoa-records"),
        ("GET", "/dir/assign"),
        ("GET", "/dir/lookup?fileId=1,01637037d6"),
        ("GET", "/dir/lookup?fileId=1,01637037d6&read=yes"),
        ("GET", "/dir/status"),
        ("GET", "/vol/grow?count=1"),
        ("GET", "/vol/vacuum"),
        ("GET", "/vol/status"),
        ("POST", "/submit"),
        ("GET", "/cluster/status"),
        ("GET", "/ui/index.html"),
        ("GET", "/"),
    ],
    "filer": [
        ("GET", "/"),
        ("GET", "/buckets/sohoa-records/?limit=10"),
        ("PUT", "/buckets/sohoa-records/x"),
        ("POST", "/buckets/x?mv.from=/buckets/sohoa-records"),
        ("DELETE", "/buckets/sohoa-records?recursive=true"),
        ("GET", "/?proxyChunkId=1,01637037d6"),
        ("POST", "/.tus/x"),
        ("GET", "/etc/iam/"),
    ],
    "admin": [("GET", "/"), ("GET", "/metrics"), ("GET", "/object-store/buckets"), ("POST", "/api/users")],
}


AT_VOLUME = [
    ("GET", "/1,01637037d6"),
    ("PUT", "/1,01637037d6"),
    ("POST", "/1,01637037d6?type=replicate"),
    ("DELETE", "/1,01637037d6"),
    ("GET", "/ui/index.html"),
    ("GET", "/stats/disk"),
    ("GET", "/"),
]


@pytest.fixture
def kept(objects: ObjectStore) -> StoredObject:
    """A record under lock."""
    until = now() + timedelta(days=1)
    return objects.put_once(
        Bucket.RECORDS, f"attack/{uuid4()}", b"%PDF record", content_type="application/pdf", lock_until=until
    )


@pytest.fixture
def whole(objects: ObjectStore, kept: StoredObject) -> Callable[[], str]:
    """Hash of the record, read again, and the number of the bucket's versions."""

    def look() -> str:
        read = objects.stored_hash(kept.bucket, kept.key, kept.version)
        return f"{read[:16]}, {len(list(objects.versions(kept.bucket, kept.key)))} version"

    return look


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with certificates that a stranger made, and a security.toml that uses them."""
    folder = tmp_path_factory.mktemp("stranger")
    names = [folder / f"tls-{name}.pem" for name in ("ca", "cert", "key")]
    make_certificates(*names)
    (folder / "security.toml").write_bytes(security(*names))
    return folder


def ports(seaweed: Seaweed) -> dict[str, tuple[int, int]]:
    """(HTTP, gRPC) by component."""
    half = len(PORTS)
    return dict(zip(PORTS, zip(seaweed.ports[:half], seaweed.ports[half:], strict=True), strict=True))


def answers(port: int, requests: list[tuple[str, str]], cert: Path | None = None) -> set[str]:
    """What a port says to the requests: over plain HTTP, and over TLS without or with a certificate of our own."""
    found = set()
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if cert:
        context.load_cert_chain(cert / "tls-cert.pem", cert / "tls-key.pem")
    for scheme in ("http", "https"):
        with httpx.Client(verify=context, timeout=5) as client:
            for method, path in requests:
                try:
                    answer = client.request(method, f"{scheme}://127.0.0.1:{port}{path}")
                    found.add(f"{answer.status_code} {answer.text.strip()[:60]}")
                except httpx.TransportError as error:
                    found.add(_told(error))
    return found


def _told(error: Exception) -> str:
    text = str(error)
    for known in ("CERTIFICATE_REQUIRED", "UNKNOWN_CA", "BAD_CERTIFICATE", "DECRYPT_ERROR"):
        if known in text:
            return f"TLS alert {known}"
    # The alert comes after the handshake (TLS 1.3): who is still writing sees the connection end.
    closed = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError, ConnectionError, ssl.SSLEOFError)
    return CLOSED if isinstance(error, closed) else type(error).__name__


CLOSED = "closed without an answer"
REFUSALS = {"TLS alert CERTIFICATE_REQUIRED", "TLS alert UNKNOWN_CA", "TLS alert BAD_CERTIFICATE", CLOSED}
PLAIN = "400 Client sent an HTTP request to an HTTPS server."


def test_one_request_deletes_a_bucket(
    attack: Attack, seaweed: Seaweed, whole: Callable[[], str], stranger: Path
) -> None:
    """GET /col/delete took a bucket under COMPLIANCE lock from whoever asked."""
    master = ports(seaweed)["master"][0]
    wanted = [("GET", "/col/delete?collection=sohoa-records")]
    for cert, who in ((None, "without a key"), (stranger, "with a certificate of one's own")):
        with attack(f"GET /col/delete of the bucket of records at the master, {who}", watch=whole) as told:
            found = answers(master, wanted, cert)
            told.answered(" · ".join(sorted(found)))
            assert PLAIN in found and found - {PLAIN} <= REFUSALS and len(found) >= 2


@pytest.mark.parametrize("name", REQUESTS)
def test_http_without_certificate(
    attack: Attack, seaweed: Seaweed, whole: Callable[[], str], stranger: Path, name: str
) -> None:
    """Nothing is read, listed, written or deleted, and no JWT is handed out."""
    port = ports(seaweed)[name][0]
    with attack(
        f"{len(REQUESTS[name])} requests to the {name}'s HTTP port: list, read, write, delete", watch=whole
    ) as told:
        found = answers(port, REQUESTS[name]) | answers(port, REQUESTS[name], stranger)
        told.answered(" · ".join(sorted(found)))
        assert found - {PLAIN} <= REFUSALS


def test_the_volume_server_without_a_token(
    attack: Attack, seaweed: Seaweed, kept: StoredObject, whole: Callable[[], str]
) -> None:
    """No file is read, written or deleted; what it tells anybody are figures."""
    base = f"http://127.0.0.1:{ports(seaweed)['volume'][0]}"
    forged = "eyJhbGciOiJub25lIn0.eyJmaWQiOiIxLDAxNjM3MDM3ZDYifQ."  # {"alg":"none"}
    for headers, who in (({}, "no token"), ({"Authorization": f"Bearer {forged}"}, "a token that nobody signed")):
        with attack(f"{len(AT_VOLUME)} requests to the volume server's HTTP port, {who}", watch=whole) as told:
            found = {httpx.request(method, base + path, headers=headers).status_code for method, path in AT_VOLUME}
            told.answered(f"HTTP {found}")
            assert found == {401}
    with attack("the volume server's open page of figures: keys, names, bytes", watch=whole) as told:
        answer = httpx.get(f"{base}/status").json()
        told.answered(f"{', '.join(answer)}: sizes and counts")
        assert answer.keys() == {"DiskStatuses", "Version", "Volumes"} and kept.key not in str(answer)


def test_even_with_the_certificate_the_master_answers_no_request(
    attack: Attack, seaweed: Seaweed, whole: Callable[[], str]
) -> None:
    """Two walls: who stole the certificate's files still gets no route that deletes."""
    with attack("the same with the store's own certificate", watch=whole) as told:
        statuses = {
            text.partition(" ")[0]
            for text in answers(ports(seaweed)["master"][0], REQUESTS["master"][:10], seaweed.folder)
            if text not in (PLAIN, CLOSED)
        }
        told.answered(f"HTTP {', '.join(statuses)}")
        assert statuses == {"404"}, statuses


@pytest.mark.parametrize("name", PORTS)
def test_grpc_without_our_certificate(
    attack: Attack, seaweed: Seaweed, whole: Callable[[], str], stranger: Path, name: str
) -> None:
    port = ports(seaweed)[name][1]
    for cert, who in ((None, "no certificate"), (stranger, "a self-made certificate")):
        with attack(f"gRPC of {name} with {who}", watch=whole) as told:
            said = _grpc(("127.0.0.1", port), cert)
            told.answered(said)
            assert said in REFUSALS


def _grpc(address: tuple[str, int] | str, cert: Path | None) -> str:
    """What a gRPC server says to HTTP/2's first bytes."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    if cert:
        context.load_cert_chain(cert / "tls-cert.pem", cert / "tls-key.pem")
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family) as raw:
        raw.settimeout(5)
        raw.connect(address)
        try:
            with context.wrap_socket(raw) as line:
                line.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
                return f"answered {line.recv(64)!r}"
        except (ssl.SSLError, ConnectionError) as error:
            return _told(error)


def test_the_programs_own_shell(attack: Attack, seaweed: Seaweed, whole: Callable[[], str], stranger: Path) -> None:
    """`weed shell` with a certificate of one's own, and with none."""
    master = "127.0.0.1:{}.{}".format(*ports(seaweed)["master"])
    filer = "127.0.0.1:{}.{}".format(*ports(seaweed)["filer"])
    for folder, who in ((stranger, "a self-made certificate"), (stranger.parent, "none")):
        with attack(f"weed shell: s3.bucket.delete with {who}", watch=whole) as told:
            command = ["timeout", "4", WEED, "shell", f"-master={master}", f"-filer={filer}"]
            order = "lock\ncollection.list\ns3.bucket.list\ns3.bucket.delete -name sohoa-records\nunlock\n"
            said = subprocess.run(command, input=order, text=True, capture_output=True, cwd=folder, env={"HOME": "/"})
            told.answered(f"exit {said.returncode}, no bucket listed")
            assert said.returncode and "sohoa-records" not in said.stdout


def _as_nobody(urls: dict[str, str], places: list[str]) -> dict[str, str]:
    """What the OS user nobody gets at the addresses and from the files and sockets."""
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:  # the user's own interpreter may lie where nobody may not go: no exec
        told: dict[str, str] = {}
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            for name, url in urls.items():
                try:
                    told[name] = str(urllib.request.urlopen(url, timeout=5).status)
                except urllib.error.HTTPError as error:
                    told[name] = str(error.code)
            for place in places:
                told[place] = _opened(place)
        finally:
            os.write(writing, json.dumps(told).encode())
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        said: dict[str, str] = json.loads(stream.read())
    os.waitpid(child, 0)
    return said


def _opened(place: str) -> str:
    try:
        if place.endswith(".sock"):
            with socket.socket(socket.AF_UNIX) as line:
                line.connect(place)
        else:
            Path(place).read_bytes()
    except OSError as error:
        return type(error).__name__
    return "OPEN"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_os_user(attack: Attack, seaweed: Seaweed, whole: Callable[[], str]) -> None:
    found = ports(seaweed)
    urls = {name: f"http://127.0.0.1:{found[name][0]}{REQUESTS[name][0][1]}" for name in REQUESTS}
    urls["volume"] = f"http://127.0.0.1:{found['volume'][0]}/1,01637037d6"
    urls["s3"] = f"http://127.0.0.1:{found['s3'][0]}/sohoa-records"
    places = [str(path) for path in (seaweed.folder, *seaweed.folder.rglob("*")) if not path.is_dir()]
    places += [str(path) for _, port in found.values() for path in Path("/tmp").glob(f"seaweedfs-*-grpc-{port}.sock")]
    assert sum(place.endswith(".sock") for place in places) >= 7
    with attack("user nobody: each port, each socket, each file of the store", watch=whole) as told:
        said = _as_nobody(urls, places)
        told.answered(f"HTTP {sorted({said[name] for name in urls})}, {len(places)} files and sockets closed")
        assert {said[name] for name in REQUESTS} == {"400"} and said["volume"] == "401" and said["s3"] == "403"
        assert {said[place] for place in places} <= {"PermissionError"}


def test_sockets_want_the_certificate_too(attack: Attack, seaweed: Seaweed, whole: Callable[[], str]) -> None:
    """As the stack's own user, whom the sockets' mode lets in."""
    sockets = [
        str(p) for _, port in ports(seaweed).values() for p in Path("/tmp").glob(f"seaweedfs-*-grpc-{port}.sock")
    ]
    assert len(sockets) == len(PORTS)
    with attack(f"gRPC over {len(sockets)} unix sockets without a certificate", watch=whole) as told:
        said = {_grpc(path, None) for path in sockets}
        told.answered(" · ".join(sorted(said)))
        assert said <= REFUSALS


def test_nothing_else_listens(attack: Attack, seaweed: Seaweed, whole: Callable[[], str]) -> None:
    """No WebDAV, Iceberg, message queue, metrics or debug port."""
    assert seaweed.process is not None
    with attack("a port that nobody named (WebDAV, Iceberg, queue, metrics, pprof)", watch=whole) as told:
        inodes = set()
        for entry in Path(f"/proc/{seaweed.process.pid}/fd").iterdir():
            target = os.readlink(entry)
            if target.startswith("socket:"):
                inodes.add(target[8:-1])
        rows = [
            line.split() for kind in ("tcp", "tcp6") for line in Path("/proc/net", kind).read_text().splitlines()[1:]
        ]
        listening = {
            (row[1].rpartition(":")[0], int(row[1].rpartition(":")[2], 16))
            for row in rows
            if row[3] == "0A" and row[9] in inodes
        }
        told.answered(f"{len(listening)} ports, all known, all on 127.0.0.1")
        assert {port for _, port in listening} == set(seaweed.ports) and {host for host, _ in listening} == {"0100007F"}


def test_s3_unsigned_and_wrongly_signed(
    attack: Attack, seaweed: Seaweed, kept: StoredObject, whole: Callable[[], str]
) -> None:
    bucket = f"{seaweed.endpoint}/sohoa-records"
    requests = [
        ("GET", seaweed.endpoint), ("GET", bucket), ("GET", f"{bucket}/{kept.key}"), ("PUT", f"{bucket}/x"),
        ("PUT", f"{bucket}/{kept.key}"), ("DELETE", f"{bucket}/{kept.key}?versionId={kept.version}"),
        ("POST", f"{bucket}?delete"), ("DELETE", bucket), ("PUT", f"{seaweed.endpoint}/another"),
        ("GET", f"{bucket}?policy"), ("GET", f"{seaweed.endpoint}/iceberg/v1/config"),
    ]  # fmt: skip
    with attack("S3 without a signature: list, read, overwrite, delete", watch=whole) as told:
        statuses = {httpx.request(method, url, timeout=5).status_code for method, url in requests}
        told.answered(f"HTTP {statuses}")
        assert statuses == {403}
    wrong = boto3.client(
        "s3", endpoint_url=seaweed.endpoint, aws_access_key_id=seaweed.access_key, region_name="us-east-1",
        aws_secret_access_key="guessed", config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 0}),
    )  # fmt: skip
    with attack("S3 with the administrator's access key and a guessed secret", watch=whole) as told:
        with pytest.raises(ClientError) as refused:
            wrong.delete_object(Bucket="sohoa-records", Key=kept.key, VersionId=kept.version)
        told.answered(refused.value.response["Error"]["Code"])
        assert refused.value.response["Error"]["Code"] == "SignatureDoesNotMatch"
