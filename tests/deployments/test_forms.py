"""What a page posts becomes the form of its pause, item by item."""

from __future__ import annotations

import pytest

from deployments.desk.forms import pause_form
from tasks.pauses.form import Answer
from tasks.pauses.registry import pauses

HASH = "a" * 64


def test_B3d_boxes_become_ordinals_and_nothing_else_is_taken() -> None:
    posted = {"decision": "TIEP_TUC", "digitise.2": "1", "digitise.11": "1", "certified.3": "1", "certified.x": "1"}
    filled = pause_form("scope", posted | {"officer": "ld.01", "proof": "x"}, [])
    assert filled == {"decision": "TIEP_TUC", "reason": "", "digitise": [2, 11], "certified": [3]}


def test_CA01_the_papers_that_were_shown_are_named_by_attempt_and_hash() -> None:
    filled = pause_form("sign", {"decision": "KY_SO_CA_NHAN", "paper.1": f"2:{HASH}", "paper.2": "no"}, [])
    assert filled["papers"] == [{"component": 1, "attempt": 2, "sha256": HASH}]


@pytest.mark.parametrize("name", sorted(pauses()))
def test_a_page_cannot_say_who_decides(name: str) -> None:
    """Officer and proof are the gateway's to fill in."""
    posted = {"decision": next(iter(pauses()[name].choices)).value, "officer": "ld.01", "proof": "x"}
    filled = pause_form(name, posted, [])
    assert filled["decision"] == posted["decision"] and not {"officer", "proof"} & filled.keys()
    assert filled.keys() <= pauses()[name].form.model_fields.keys() and Answer.model_fields.keys() >= {"officer"}
