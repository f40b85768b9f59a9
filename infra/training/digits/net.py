# mypy: disable-error-code="misc,no-any-return,untyped-decorator"
"""A small CRNN with CTC (Graves et al. 2006; Shi et al. 2015) over ten digits and "no digit", which tells hands, too.

In: [N, 1, 32, W], ink -1, paper 1. Out: logits [N, W / 2, 12], class 0 the blank; logit [N] of "written by hand".
"""

from __future__ import annotations

import torch
from torch import nn

CLASSES, STEP = 12, 2


def _block(inputs: int, outputs: int, pool: tuple[int, int]) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
        nn.MaxPool2d(pool, pool),
    )


class Net(nn.Module):
    """See module."""

    def __init__(self) -> None:
        super().__init__()
        self.shape = nn.Sequential(
            _block(1, 28, (2, 2)),
            _block(28, 64, (2, 1)),
            _block(64, 112, (2, 1)),
            _block(112, 144, (4, 1)),
            nn.Dropout(0.15),
        )
        self.order = nn.GRU(144, 96, bidirectional=True, batch_first=True)
        self.digits = nn.Linear(192, CLASSES)
        self.hand = nn.Linear(192, 1)

    def forward(self, image: torch.Tensor, widths: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """widths: steps of each slot that are its own, where slots of a batch were made equally wide."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self.training):  # half the time where the processor has it
            shapes = self.shape(image)
        steps, _ = self.order(shapes.float().squeeze(2).permute(0, 2, 1))
        if widths is None:
            mean = steps.mean(1)
        else:
            own = (torch.arange(steps.shape[1])[None, :] < widths[:, None]).unsqueeze(2)
            mean = (steps * own).sum(1) / widths[:, None]
        return self.digits(steps), self.hand(mean).squeeze(1)
