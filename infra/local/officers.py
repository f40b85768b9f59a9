"""The people on the list for tests, as the TEST identity provider knows them and shows them on its sign-in page."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import yaml

from infra.local.production import TEST_STAFF

NAMES = {  # invented; the list itself holds no names
    "tnhs.01": "Nguyễn Thị Lan",
    "tnhs.02": "Trần Văn Minh",
    "buudien.01": "Vũ Thị Hạnh",
    "gq.01": "Lê Thị Hoa",
    "gq.02": "Phạm Văn Dũng",
    "gq.09": "Hoàng Thị Thu",
    "ld.01": "Đặng Văn Hùng",
    "vt.01": "Bùi Thị Mai",
    "vt.02": "Đỗ Văn Sơn",
    "vh.01": "Ngô Văn Nam",
    "kt.01": "Phan Thị Ngọc",
}
ROLES = {  # by name in the list, in the order of the case: title, what they may do
    "RECEIVE": (
        "Viên chức tiếp nhận",
        "Tiếp nhận hồ sơ tại Bộ phận Một cửa, quét và quét lại giấy tờ, ký số bản sao, trả kết quả cho người nộp.",
    ),
    "RESOLVE": (
        "Viên chức giải quyết",
        "Thẩm định hồ sơ, đối chiếu dữ liệu bóc tách với giấy tờ, soạn kết quả giải quyết.",
    ),
    "LEAD": (
        "Lãnh đạo",
        "Xem xét và ký kết quả, quyết định về giấy tờ mật và giấy tờ dễ hỏng, xử lý sự cố của đơn vị.",
    ),
    "SEAL": ("Văn thư", "Ký số của cơ quan trên kết quả và bản sao, xác nhận việc tiêu hủy."),
    "OPERATE": ("Vận hành", "Theo dõi các thành phần hệ thống, xử lý sự cố kỹ thuật; vai trò này không xem giấy tờ."),
    "AUDIT": ("Kiểm tra", "Xem hồ sơ và nhật ký, kiểm tra nhật ký có bị sửa hay không; không quyết định gì."),
}


def test_users() -> list[dict[str, Any]]:
    """Claims of the people on the list for tests, as an office's provider would tell them."""
    listed = yaml.safe_load(TEST_STAFF.read_text(encoding="utf-8"))
    return [
        {
            "sub": person["id"],
            "preferred_username": person["id"],
            "name": NAMES.get(person["id"], person["id"]),
            "groups": [f"sohoa/{unit}/{role}" for unit in person["units"] for role in person["roles"]],
        }
        for person in (*listed["staff"], *listed["delegations"])
    ]


@dataclass
class Group:
    """People with the same roles. people: (id, name, units)."""

    title: str
    may: list[str]
    people: list[tuple[str, str, str]] = field(default_factory=list)


def groups(users: Iterable[tuple[str, dict[str, Any]]]) -> list[Group]:
    """What the sign-in page shows of (id, claims) pairs: one group for each set of roles, in the order of the case."""
    found: dict[tuple[str, ...], Group] = {}
    for sub, claims in users:
        told = [str(name).split("/") for name in claims.get("groups", [])]
        held = tuple(role for role in ROLES if role in {name for _, _, name in told})
        if not held:
            continue  # nobody at the gateway
        titles = [ROLES[role][0] for role in held]
        title = " và ".join([titles[0], *(other[0].lower() + other[1:] for other in titles[1:])])
        group = found.setdefault(held, Group(title, [ROLES[role][1] for role in held]))
        group.people.append((sub, str(claims.get("name") or sub), ", ".join(sorted({unit for _, unit, _ in told}))))
    order = list(ROLES)
    return [found[held] for held in sorted(found, key=lambda held: [order.index(role) for role in held])]
