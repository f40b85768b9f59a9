"""What all services of an installation have in common: one way to get the installation's own."""

from __future__ import annotations

from typing import Self

from prefect.blocks.core import Block


class Service(Block):
    """A service that the environment configures (`blocks.settings`).

    Its fields name environment variables: Prefect's database holds no secret, and no document of Prefect is asked
    what to use, so that its password changes nothing.
    """

    @classmethod
    def get(cls) -> Self:
        """That of this installation. It opens nothing: each call may make one."""
        return cls()
