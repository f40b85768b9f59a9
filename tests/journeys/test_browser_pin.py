"""A PIN typed in Chromium by who holds the token: used once by the step that signs, and found nowhere (Điều 8.1)."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
import yaml
from playwright.sync_api import Page, expect
from psycopg import sql
from sqlmodel import select

from blocks.objects import Bucket
from blocks.records.states import SignatureRole
from blocks.records.tables import Document, SealedPin, Signature
from blocks.settings import read_env, settings
from blocks.trust import Trust
from infra.local import token
from tasks.signing.verify import verify_pdf
from tests.faults.stack import until
from tests.journeys.conftest import Journey
from tests.journeys.test_browser import SignIn, drawn, require_accessible, sign_in  # noqa: F401
from tests.players.officers import Sample

OFFICER = "tnhs.02"


@dataclass
class Token:
    """The officer's own. pin, wrong: letters too, so that no other bytes are like them by chance."""

    folder: Path
    pin: str
    wrong: str

    def logins(self) -> int:
        """SoftHSM writes the token's state at each login, refused or not, and counts in the first bytes of its file."""
        (state,) = self.folder.rglob("token.object")
        return int.from_bytes(state.read_bytes()[:8], "big")


@pytest.fixture
def held(played: Journey) -> Iterator[Token]:
    """Officer tnhs.02 of the running stack signs with a token whose PIN is stored nowhere."""
    place, library = settings().pki_dir, token.module()
    assert library, "SoftHSM is missing: apt-get install softhsm2 (make test does)"
    made = Token(place / "person", secrets.token_urlsafe(12), secrets.token_urlsafe(12))
    given = place / "typed.pin"
    given.write_text(made.pin)
    token.make_token(made.folder, given, {OFFICER: place / f"keys/{OFFICER}.pem"}, label="person")
    given.unlink()
    owner = (place / "keys").stat()  # the worker, where each part is a user of its own
    for path in (made.folder, *made.folder.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid)
    listing = place / "officers.yml"
    before = listing.read_text()
    known = yaml.safe_load(before)
    known["officers"][OFFICER] |= {
        "kind": "pkcs11", "module": str(library), "token": "person", "key": OFFICER,
        "environment": {"SOFTHSM2_CONF": "person/softhsm2.conf"},
    }  # fmt: skip
    listing.write_text(yaml.safe_dump(known, allow_unicode=True))
    try:
        yield made
    finally:
        listing.write_text(before)
        shutil.rmtree(made.folder)


def signed(played: Journey, sample: Sample) -> list[Signature]:
    dossier = played.officers.dossier(sample)
    assert dossier is not None
    with played.officers.records.session() as session:
        query = select(Signature).join(Document).where(Document.dossier_id == dossier.id)  # type: ignore[arg-type]
        return [row for row in session.exec(query) if row.role is SignatureRole.OFFICER]


def sign(page: Page, pin: str) -> None:
    until(lambda: drawn(page, "Ảnh thành phần 1, trang 1"))
    page.get_by_label("Mã PIN của chữ ký số").fill(pin)
    page.get_by_role("button", name="Ký số").click()


def dumped(home: Path) -> Iterator[tuple[str, bytes]]:
    """(place, all that it holds): each table of both databases as its owner reads it, and every file of the stack."""
    named = (("owner", "SOHOA_DATABASE_URL"), ("prefect", "PREFECT_SERVER_DATABASE_CONNECTION_URL"))
    for part, name in named:
        url = read_env(home / "secrets" / f"{part}.env")[name]
        with psycopg.connect(url.replace("+asyncpg", "").replace("+psycopg", "")) as connection:
            listed = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            for (table,) in connection.execute(listed).fetchall():
                query = sql.SQL("SELECT coalesce(string_agg(t::text, ' '), '') FROM {} t").format(sql.Identifier(table))
                row = connection.execute(query).fetchone()
                assert row is not None
                yield f"{part}: {table}", row[0].encode()
    for path in home.rglob("*"):
        if path.is_file() and not path.is_symlink():
            try:
                yield str(path.relative_to(home)), path.read_bytes()
            except FileNotFoundError:  # a file of a moment
                continue


def test_CA01_a_pin_typed_at_the_desk_signs_once_and_is_kept_nowhere(
    played: Journey,
    sign_in: SignIn,  # noqa: F811
    held: Token,
) -> None:
    sample = played.variant("ma-pin", "01-om-dau", captured_by=OFFICER)
    officers, fresh = played.officers, held.logins()
    officers.hand_in(sample)
    played.wait_pause(sample, "sign-1")
    dossier = officers.dossier(sample)
    assert dossier is not None and held.logins() == fresh
    path = f"/ho-so/{dossier.id}"
    page = sign_in(OFFICER, path)
    box = page.get_by_label("Mã PIN của chữ ký số")
    assert (box.get_attribute("type"), box.get_attribute("autocomplete")) == ("password", "off")
    expect(page.locator(".said")).to_contain_text("mã chỉ dùng một lần, trong 10 phút, và không được lưu lại")
    require_accessible(page)
    sign(page, "")
    expect(page.get_by_role("alert")).to_contain_text("Vui lòng nhập mã PIN của chữ ký số để ký")
    assert held.logins() == fresh  # nothing was sent anywhere

    sign(page, held.wrong)
    expect(page.locator(".note.good")).to_contain_text("Đã ghi nhận: ký số")
    played.wait_pause(sample, "sign-2")
    assert held.logins() == fresh + 1 and not signed(played, sample)
    page.goto(page.url)
    expect(page.locator(".said")).to_contain_text("Mã PIN lần trước chưa được chấp nhận")
    expect(box).to_have_value("")

    sign(page, held.wrong)  # once more the same: it is known to be wrong, and costs none of the token's few attempts
    played.wait_pause(sample, "sign-3")
    assert held.logins() == fresh + 1 and not signed(played, sample)

    page.goto(page.url)
    sign(page, held.pin)
    expect(page.locator(".note.good")).to_contain_text("Đã ghi nhận: ký số")
    played.wait_pause(sample, "verification-1")
    assert held.logins() == fresh + 2
    papers = [paper for paper in officers.documents(dossier) if paper.page_count]
    rows = signed(played, sample)
    assert papers and sorted(row.document_id for row in rows) == sorted(paper.id for paper in papers)
    for row in rows:
        data = officers.objects.read(Bucket.WORKING, row.object_key, sha256=row.sha256)
        [found] = verify_pdf(data, Trust()).signatures
        assert found.valid and found.level == "B-LT"

    with officers.records.session() as session:
        assert not session.exec(select(SealedPin.dossier_id)).all()
    told = dict(dumped(played.stack.home))
    # What is looked through holds what it should: this dossier, its run, the logs.
    assert str(dossier.id).encode() in told["owner: auditentry"] and sample.run_id.encode() in told["prefect: flow_run"]
    assert any(place.startswith("log/") and data for place, data in told.items())
    for pin in (held.pin, held.wrong):
        assert [place for place, data in told.items() if pin.encode() in data] == []
