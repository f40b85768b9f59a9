"""Every kind of file has the fate that its case expects."""

from pathlib import Path

import pytest

from tests.cases import Case, all_cases

CASES = [pytest.param(case, id=f"{kind}: {case.name}") for kind, cases in all_cases().items() for case in cases]


@pytest.mark.parametrize("case", CASES)
def test_a_kind_of_file_has_the_fate_that_its_user_expects(case: Case, tmp_path: Path) -> None:
    assert case.play(tmp_path)
