"""Attempts to stop the others by one bad folder, or to lead a reader of foreign folders elsewhere."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml

from blocks.folder import FolderUnfit
from blocks.objects import Bucket, ObjectStore
from blocks.orchestrator import Orchestrator
from blocks.records import RecordsDatabase
from blocks.records.sources import SourceKind
from tasks.intake.hand_in import hand_in
from tasks.intake.inbox import REFUSED, TAKEN, ready_folders, take_folder
from tasks.intake.manifest import MANIFEST, ManifestInvalid, parse_manifest
from tasks.intake.origin import Origin
from tasks.prefect_task import RowsFailed, one_by_one
from tests.attack.plugin import Attack
from tests.tasks.intake.test_submission import manifest

LATER = time.time() + 86_400
SECOND = 1.0


class Started(Orchestrator):
    """Notes which submissions would be started."""

    def __init__(self) -> None:
        self.submissions: list[str] = []

    def start(self, submission: str, **_: Any) -> dict[str, Any]:
        self.submissions.append(submission)
        return {"id": str(uuid4())}


def look(records: RecordsDatabase, objects: ObjectStore, inbox: Path) -> Started:
    """One minute's look at the inbox, as `take_ready_folders` does it."""
    started = Started()
    one_by_one(ready_folders(inbox, now=LATER), lambda path: take_folder(records, objects, started, inbox, path))
    return started


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    """An inbox with the part of the officer who captures."""
    place = tmp_path / "inbox" / "tnhs.01"
    place.mkdir(parents=True)
    return place.parent


def put(inbox: Path, name: str, declaration: dict[str, Any] | str, **files: bytes) -> Path:
    folder = inbox / "tnhs.01" / name
    folder.mkdir(parents=True)
    text = declaration if isinstance(declaration, str) else yaml.safe_dump(declaration, allow_unicode=True)
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    for file, content in files.items():
        (folder / file).write_bytes(content)
    return folder


def component(*files: str) -> dict[str, Any]:
    return {"type": "LOCAL:GIAY-RA-VIEN", "pages": 1, "files": list(files)}


def good(inbox: Path) -> Path:
    """A folder of today, put down after the bad ones."""
    mark = uuid4().hex.encode()  # no other test has these papers
    return put(inbox, "z-tot", manifest(components=[component("tot")]), tot=mark)


def first_lines(**owner: str) -> str:
    fields = "\n".join(f"  {name}: {value}" for name, value in ({"kind": "PERSON", "name": "A"} | owner).items())
    return f"version: 1\nunit: BHXH-TEST\nprocedure: '1.001667'\ncaptured_by: tnhs.01\noriginals: 1\nowner:\n{fields}\n"


LAUGHS = "\n".join(
    ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
)
POISON = {
    "a day that doesn't exist (1955-02-30)": first_lines(birth_date="1955-02-30"),
    "a number of 5,000 digits": first_lines(founding_year="9" * 5000),
    "ten thousand lists in each other": "components: " + "[" * 10_000,
    "ten thousand mappings in each other": "{a: " * 10_000,
    "a billion laughs by aliases": LAUGHS,
    "an alias of itself": "a: &a [*a]\n",
    "1 MB of 1,1,1": "originals: [" + "1," * 500_000 + "1]",
    "250 kB of 1,1,1": "originals: [" + "1," * 125_000 + "1]",
    "a tag that names os.system": "!!python/object/apply:os.system ['touch /tmp/steady-was-here']",
    "a key twice": first_lines() + "unit: BHXH-KHAC\n",
    "a zero byte in a name": first_lines(name='"A\\0B"'),
    "a name written from right to left": first_lines(name='"A\\u202EB"'),
    "a name that is 200,000 characters long": first_lines(name="A" * 200_000),
    "seconds since 1970 as a day of birth": first_lines(birth_date="19440000"),
}


@pytest.mark.parametrize("kind", POISON)
def test_poison_in_a_declaration(
    attack: Attack, inbox: Path, records: RecordsDatabase, objects: ObjectStore, kind: str
) -> None:
    bad = put(inbox, "a-doc", POISON[kind])
    sound = good(inbox)
    with attack(f"{kind} in the declaration of an older folder of the inbox") as told:
        began = time.perf_counter()
        started = look(records, objects, inbox)
        seconds = time.perf_counter() - began
        told.answered((bad / REFUSED).read_text().strip())
        assert started.submissions == [(sound / TAKEN).read_text().strip()]
        assert (bad / REFUSED).read_text().startswith(("MANIFEST_INVALID: Tờ khai", "NAME_NFD: "))
        assert seconds < SECOND, "one folder takes the time of the others"
        told.proved(f"the folder after it was taken in the same look, {seconds * 1000:.0f} ms")
    assert not Path("/tmp/steady-was-here").exists()
    assert ready_folders(inbox, now=LATER) == []  # neither comes again as it stands


def fifo(path: Path) -> None:
    os.mkfifo(path)


def unix_socket(path: Path) -> None:
    with closing(socket.socket(socket.AF_UNIX)) as end:
        here = os.getcwd()
        os.chdir(path.parent)  # the address of a socket is short
        try:
            end.bind(path.name)
        finally:
            os.chdir(here)


LED_ELSEWHERE: dict[str, Callable[[Path], None]] = {
    "a link to /etc/shadow": lambda path: path.symlink_to("/etc/shadow"),
    "a link to nothing": lambda path: path.symlink_to("/nowhere/at-all"),
    "a link to itself": lambda path: path.symlink_to(path),
    "a pipe that nobody writes": fifo,
    "a socket": unix_socket,
    "a folder": Path.mkdir,
}


@pytest.mark.parametrize("kind", LED_ELSEWHERE)
def test_a_declared_file_leads_elsewhere(
    attack: Attack, inbox: Path, records: RecordsDatabase, objects: ObjectStore, kind: str
) -> None:
    mark = uuid4().hex
    bad = put(inbox, "a-lien-ket", manifest(components=[component(f"{mark}-7.jpg")]))
    LED_ELSEWHERE[kind](bad / f"{mark}-7.jpg")
    sound = good(inbox)
    before = set(objects.list(Bucket.INBOX, ""))
    with attack(f"{kind} as the declared scan of a folder in the inbox") as told:
        started = look(records, objects, inbox)
        told.answered((bad / REFUSED).read_text().strip())
        assert started.submissions == [(sound / TAKEN).read_text().strip()]
        new = set(objects.list(Bucket.INBOX, "")) - before
        assert all(key.startswith(started.submissions[0]) for key in new), "something of it was stored"
        told.proved("nothing of it is in the store; the next folder was taken")


def test_a_folder_in_a_declared_path_is_a_link(
    attack: Attack, inbox: Path, records: RecordsDatabase, objects: ObjectStore
) -> None:
    bad = put(inbox, "a-thu-muc", manifest(components=[component("etc/hostname")]))
    (bad / "etc").symlink_to("/etc")
    with attack("a link to /etc as a folder of a declared path", watch=lambda: Path("/etc/hostname").read_bytes()) as t:
        started = look(records, objects, inbox)
        t.answered((bad / REFUSED).read_text().strip())
        assert started.submissions == [] and "FOLDER_UNFIT" in (bad / REFUSED).read_text()


def test_the_declaration_itself_is_a_link(
    attack: Attack, inbox: Path, records: RecordsDatabase, objects: ObjectStore
) -> None:
    secret = inbox.parent / "secret.yaml"
    secret.write_text("version: 1\n")
    bad = inbox / "tnhs.01" / "a-khai"
    bad.mkdir()
    (bad / MANIFEST).symlink_to(secret)
    with attack("dossier.yaml is a link to a file elsewhere", watch=secret.read_text) as told:
        assert look(records, objects, inbox).submissions == []
        told.answered((bad / REFUSED).read_text().strip())


def test_the_answer_is_led_over_a_foreign_file(
    attack: Attack, inbox: Path, records: RecordsDatabase, objects: ObjectStore
) -> None:
    victim = inbox.parent / "victim"
    victim.write_text("as it was")
    bad = put(inbox, "a-tra-loi", "version: 1\n")
    (bad / REFUSED).symlink_to(victim)
    with attack("KHONG_TIEP_NHAN.txt is a link to a file that the worker may write", watch=victim.read_text) as told:
        look(records, objects, inbox)
        told.answered((bad / REFUSED).read_text().strip())
        assert not (bad / REFUSED).is_symlink()


def test_the_folder_itself_is_a_link(
    attack: Attack, inbox: Path, records: RecordsDatabase, objects: ObjectStore
) -> None:
    elsewhere = put(inbox.parent / "elsewhere", "ho-so", manifest(components=[component("x")]), x=uuid4().bytes)
    (inbox / "tnhs.01" / "a-goc").symlink_to(elsewhere)
    with attack("a folder of the inbox is a link to a folder elsewhere", watch=lambda: os.listdir(elsewhere)) as told:
        assert ready_folders(inbox, now=LATER) == []
        with pytest.raises(FolderUnfit) as refused:
            hand_in(records, objects, inbox / "tnhs.01" / "a-goc", Origin(SourceKind.INBOX, "tnhs.01", "tnhs.01"))
        told.answered(refused.value)


def test_a_folder_of_too_many_files(
    attack: Attack, inbox: Path, records: RecordsDatabase, objects: ObjectStore
) -> None:
    bad = put(inbox, "a-nhieu", manifest(components=[component("x-1.jpg")]))
    for number in range(20_050):
        (bad / f"f{number}").touch()
    sound = good(inbox)
    with attack("20,050 files in one folder of the inbox") as told:
        began = time.perf_counter()
        started = look(records, objects, inbox)
        told.answered((bad / REFUSED).read_text().strip())
        assert started.submissions == [(sound / TAKEN).read_text().strip()]
        told.proved(f"the folder after it was taken in the same look, {time.perf_counter() - began:.1f} s")


def test_a_file_that_is_gone_while_the_folder_is_read(
    attack: Attack, inbox: Path, records: RecordsDatabase, objects: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(inbox, "a-mat", manifest(components=[component("x-1.jpg")]), **{"x-1.jpg": uuid4().bytes})
    sound = good(inbox)
    real = ObjectStore.put_once

    def gone(self: ObjectStore, bucket: Bucket, key: str, data: Any, **kw: Any) -> Any:
        if key.endswith("-1.jpg"):
            raise FileNotFoundError(key)
        return real(self, bucket, key, data, **kw)

    monkeypatch.setattr(ObjectStore, "put_once", gone)
    with attack("a folder is taken away while it is read") as told:
        started = look(records, objects, inbox)
        told.answered("nothing to refuse: looked at again the next minute")
        assert started.submissions == [(sound / TAKEN).read_text().strip()]
        told.proved("the folder after it was taken in the same look")


def test_a_fault_of_ours_refuses_nobody(
    inbox: Path, records: RecordsDatabase, objects: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk or wrong keys are not the folder's fault: nothing is written into it, the others are tried."""
    put(inbox, "a", manifest(components=[component("x-1.jpg")]), **{"x-1.jpg": uuid4().bytes})
    sound = good(inbox)
    real = ObjectStore.put_once

    def full(self: ObjectStore, bucket: Bucket, key: str, data: Any, **kw: Any) -> Any:
        if key.endswith("-1.jpg"):
            raise OSError(28, "No space left on device")
        return real(self, bucket, key, data, **kw)

    with monkeypatch.context() as patch:
        patch.setattr(ObjectStore, "put_once", full)
        with pytest.raises(RowsFailed):
            look(records, objects, inbox)
    assert (sound / TAKEN).exists() and not (inbox / "tnhs.01" / "a" / REFUSED).exists()
    assert len(look(records, objects, inbox).submissions) == 1


def test_what_is_wrong_is_named_by_place_never_by_what_was_written() -> None:
    with pytest.raises(ManifestInvalid) as refused:
        parse_manifest(yaml.safe_dump(manifest() | {"Nguyễn Văn A": "1"}, allow_unicode=True).encode())
    assert "Nguyễn" not in str(refused.value) and "mục không có trong mẫu" in str(refused.value)


def test_what_officers_write_still_counts() -> None:
    """Numbers and words without quotes, a mark at the file's begin, and the largest list."""
    text = yaml.safe_dump(manifest(), allow_unicode=True).replace("'001199012345'", "001199012345")
    read = parse_manifest(b"\xef\xbb\xbf" + text.replace("originals: 1", "originals: 1\ntransitional: yes").encode())
    assert read.owner.id == "001199012345" and read.transitional and str(read.owner.birth_date) == "1999-01-02"
    whole = manifest(components=[component(*(f"c{n}/{i:04d}-{i}.jpg" for i in range(10))) for n in range(500)])
    assert len(parse_manifest(yaml.safe_dump(whole, allow_unicode=True).encode()).components) == 500
