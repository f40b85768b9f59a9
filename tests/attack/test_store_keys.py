"""Who holds the S3 key of one part does that part's work, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from blocks.objects import Bucket, ObjectStore
from blocks.records.tables import now
from infra.local.seaweed import Seaweed
from infra.local.seaweed_access import ADMIN, RIGHTS
from tests.attack.plugin import Attack

EVERYBODY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:*"}]}
WRITES = {"gateway": {"inbox"}, "worker": {"inbox", "intake", "working", "records"}, "backup": set(), "disposal": set()}
DELETES = {"gateway": set(), "worker": {"inbox", "intake", "working"}, "backup": set(), "disposal": {"records"}}


@dataclass
class Place:
    """A bucket with one object in it; in the bucket of records a second, locked one."""

    bucket: str
    key: str
    version: str
    locked: str = ""  # key
    locked_version: str = ""


@pytest.fixture
def places(objects: ObjectStore) -> dict[str, Place]:
    found = {}
    for bucket in Bucket:
        stored = objects.put_once(bucket, f"keys/{uuid4()}", b"kept", content_type="text/plain")
        found[bucket.value] = Place(objects.bucket_name(bucket), stored.key, stored.version)
    until = now() + timedelta(days=1)
    stored = objects.put_once(Bucket.RECORDS, f"keys/{uuid4()}", b"kept", content_type="text/plain", lock_until=until)
    found["records"].locked, found["records"].locked_version = stored.key, stored.version
    return found


@pytest.fixture
def whole(seaweed: Seaweed, places: dict[str, Place]) -> Callable[[], str]:
    """Bytes, settings of all buckets, and their names."""

    def look() -> str:
        admin, told = seaweed.client, []
        for place in places.values():
            body = admin.get_object(Bucket=place.bucket, Key=place.key, VersionId=place.version)["Body"].read()
            told.append((body, admin.get_bucket_versioning(Bucket=place.bucket).get("Status")))
        names = sorted(entry["Name"] for entry in admin.list_buckets()["Buckets"])
        return f"{[status for _, status in told]}, bytes { ({body for body, _ in told}) }, {len(names)} buckets"

    return look


def client(seaweed: Seaweed, part: str, service: str = "s3") -> Any:
    access, secret = seaweed.keys[part]
    return boto3.client(
        service, endpoint_url=seaweed.endpoint, aws_access_key_id=access, aws_secret_access_key=secret,
        region_name="us-east-1", config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 0}),
    )  # fmt: skip


def said(call: Callable[[], Any]) -> str:
    """OK, or the code of the refusal."""
    try:
        answer = call()
    except ClientError as error:
        answer = error.response
        return str(answer.get("Error", {}).get("Code") or answer["ResponseMetadata"]["HTTPStatusCode"])
    failed = answer.get("Errors") if isinstance(answer, dict) else None
    return str(failed[0]["Code"]) if failed else "OK"


@pytest.mark.parametrize("part", RIGHTS)
def test_each_part_does_its_own_work(seaweed: Seaweed, places: dict[str, Place], part: str) -> None:
    """What the rights are for works; what they aren't for doesn't (objects)."""
    s3 = client(seaweed, part)
    for name, place in places.items():
        reads = s3.get_object(Bucket=place.bucket, Key=place.key, VersionId=place.version)["Body"].read()
        listed = s3.list_object_versions(Bucket=place.bucket, Prefix=place.key)["Versions"]
        assert reads == b"kept" and len(listed) == 1
        key = f"keys/{uuid4()}"
        put = said(lambda: s3.put_object(Bucket=place.bucket, Key=key, Body=b"new", IfNoneMatch="*"))  # noqa: B023
        assert put == ("OK" if name in WRITES[part] else "AccessDenied"), (part, name)
        gone = said(lambda: s3.delete_object(Bucket=place.bucket, Key=place.key, VersionId=place.version))  # noqa: B023
        assert gone == ("OK" if name in DELETES[part] else "AccessDenied"), (part, name)
    assert said(lambda: s3.get_object(Bucket="probe", Key="probe")) == "AccessDenied"


@pytest.mark.parametrize("part", RIGHTS)
def test_no_part_changes_a_bucket(
    attack: Attack, seaweed: Seaweed, places: dict[str, Place], whole: Callable[[], str], part: str
) -> None:
    """Versioning, lock, policy, lifecycle, rights, encryption, the bucket itself."""
    s3 = client(seaweed, part)
    off = {"Status": "Suspended"}
    lock = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}}
    expire = {"Rules": [{"ID": "x", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 1}}]}
    cors = {"CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]}
    attempts: dict[str, Callable[[str], Any]] = {
        "versioning": lambda b: s3.put_bucket_versioning(Bucket=b, VersioningConfiguration=off),
        "object lock": lambda b: s3.put_object_lock_configuration(Bucket=b, ObjectLockConfiguration=lock),
        "policy": lambda b: s3.put_bucket_policy(Bucket=b, Policy=_policy(b)),
        "no policy": lambda b: s3.delete_bucket_policy(Bucket=b),
        "lifecycle": lambda b: s3.put_bucket_lifecycle_configuration(Bucket=b, LifecycleConfiguration=expire),
        "CORS": lambda b: s3.put_bucket_cors(Bucket=b, CORSConfiguration=cors),
        "ACL": lambda b: s3.put_bucket_acl(Bucket=b, ACL="public-read-write"),
        "encryption": lambda b: s3.delete_bucket_encryption(Bucket=b),
        "public access": lambda b: s3.delete_public_access_block(Bucket=b),
        "tags": lambda b: s3.put_bucket_tagging(Bucket=b, Tagging={"TagSet": [{"Key": "a", "Value": "b"}]}),
        "deletion": lambda b: s3.delete_bucket(Bucket=b),
    }
    with attack(f"the {part}'s key changes each bucket: {', '.join(attempts)}", watch=whole) as told:
        found = {(name, said(lambda: act(place.bucket))) for name, act in attempts.items() for place in places.values()}  # noqa: B023
        found.add(("new bucket", said(lambda: s3.create_bucket(Bucket=f"evil-{uuid4().hex[:8]}"))))
        told.answered(f"{len(attempts) * len(places) + 1} × {', '.join(sorted({code for _, code in found}))}")
        assert {code for _, code in found} == {"AccessDenied"}, found


@pytest.mark.parametrize("part", RIGHTS)
def test_no_part_shortens_a_lock_or_deletes_a_locked_record(
    attack: Attack, seaweed: Seaweed, places: dict[str, Place], whole: Callable[[], str], part: str
) -> None:
    s3, place = client(seaweed, part), places["records"]
    where: dict[str, Any] = {"Bucket": place.bucket, "Key": place.locked, "VersionId": place.locked_version}
    soon = now() + timedelta(minutes=5)
    gone = {"Objects": [{"Key": place.locked, "VersionId": place.locked_version}]}
    with attack(f"the {part}'s key deletes a locked record, shortens its lock, bypasses it", watch=whole) as told:
        found = {
            said(lambda: s3.delete_object(**where)),
            said(lambda: s3.delete_object(**where, BypassGovernanceRetention=True)),
            said(lambda: s3.delete_objects(Bucket=place.bucket, Delete=gone)),
            said(lambda: s3.put_object_retention(**where, Retention={"Mode": "COMPLIANCE", "RetainUntilDate": soon})),
            said(lambda: s3.put_object_retention(**where, Retention={"Mode": "GOVERNANCE", "RetainUntilDate": soon})),
            said(lambda: s3.put_object_legal_hold(**where, LegalHold={"Status": "OFF"})),
        }
        told.answered(", ".join(sorted(found)))
        assert "OK" not in found and found <= {"AccessDenied"}, found
        kept = seaweed.client.get_object_retention(**where)["Retention"]
        assert kept["Mode"] == "COMPLIANCE" and kept["RetainUntilDate"] > soon


def test_the_gateway_writes_no_records(
    attack: Attack, seaweed: Seaweed, places: dict[str, Place], whole: Callable[[], str]
) -> None:
    """Neither directly, nor by a copy inside the store, nor in parts, nor as a form."""
    s3 = client(seaweed, "gateway")
    source = {"Bucket": places["inbox"].bucket, "Key": places["inbox"].key}
    others = [place for name, place in places.items() if name != "inbox"]
    with attack("the gateway's key writes into intake, working and records", watch=whole) as told:
        found = set()
        for place in others:
            where = {"Bucket": place.bucket, "Key": place.key}
            found.add(said(lambda: s3.put_object(**where, Body=b"forged")))  # noqa: B023
            found.add(said(lambda: s3.copy_object(**where, CopySource=source)))  # noqa: B023
            found.add(said(lambda: s3.create_multipart_upload(**where)))  # noqa: B023
            found.add(said(lambda: s3.delete_object(**where)))  # noqa: B023
            found.add(said(lambda: s3.put_object_tagging(**where, Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})))  # noqa: B023
        told.answered(f"{5 * len(others)} × {', '.join(found)}")
        assert found == {"AccessDenied"}
    with attack("the gateway's key deletes what was handed in", watch=whole) as told:
        inbox = places["inbox"]
        code = said(lambda: s3.delete_object(Bucket=inbox.bucket, Key=inbox.key))
        told.answered(code)
        assert code == "AccessDenied"


@pytest.mark.parametrize("part", RIGHTS)
def test_no_part_makes_itself_new_keys(attack: Attack, seaweed: Seaweed, whole: Callable[[], str], part: str) -> None:
    """The store answers IAM and STS on the same port."""
    iam, sts = client(seaweed, part, "iam"), client(seaweed, part, "sts")
    role = "arn:aws:iam::000000000000:role/admin"
    with attack(f"the {part}'s key makes itself a user, a key, a policy, a role", watch=whole) as told:
        found = {
            said(lambda: iam.create_user(UserName="evil")),
            said(lambda: iam.create_access_key(UserName=ADMIN)),
            said(lambda: iam.list_access_keys(UserName=ADMIN)),
            said(lambda: iam.put_user_policy(UserName=part, PolicyName="all", PolicyDocument=_policy("*"))),
            said(lambda: iam.delete_user(UserName=ADMIN)),
            said(lambda: sts.assume_role(RoleArn=role, RoleSessionName="evil")),
        }
        told.answered(", ".join(sorted(found)))
        assert "OK" not in found and len(found) <= 3, found


def _policy(bucket: str) -> str:
    [statement] = EVERYBODY["Statement"]
    return json.dumps({**EVERYBODY, "Statement": [{**statement, "Resource": f"arn:aws:s3:::{bucket}/*"}]})  # type: ignore[dict-item]
