"""The classifier of the story: a logistic regression on 64 pixels, trained for real.

Its artifact is a folder with the weights as numbers: nothing in it is executed by loading it.
"""

from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from backstory.cli.demo.world import Pixels

WEIGHTS = "weights.npz"
STRENGTH = 13  # of the fit against the regularisation: scikit-learn's C
WHITE = 16  # the largest grey value


class Reader:
    """Reads one digit from 64 pixels."""

    def __init__(self, weights: np.ndarray, bias: np.ndarray) -> None:
        self._weights = weights
        self._bias = bias

    @classmethod
    def train(cls, images: list[Pixels], labels: list[int]) -> "Reader":
        """Fit a reader; the same rows in the same order give the same one."""
        # One thread: small sums are only slowed by more, and their order stays the same.
        with threadpool_limits(limits=1):
            fitted = LogisticRegression(max_iter=1000, C=STRENGTH).fit(_scaled(images), labels)
        return cls(fitted.coef_, fitted.intercept_)

    @classmethod
    def load(cls, folder: Path) -> "Reader":
        """Read what `save` wrote."""
        with np.load(folder / WEIGHTS, allow_pickle=False) as stored:
            return cls(stored["weights"], stored["bias"])

    def save(self, folder: Path) -> Path:
        """Write the weights into a new folder."""
        folder.mkdir(parents=True)
        np.savez(folder / WEIGHTS, weights=self._weights, bias=self._bias)
        return folder

    def read(self, images: list[Pixels]) -> list[int]:
        """The most likely digit of each image."""
        if not images:
            return []
        scores = _scaled(images) @ self._weights.T + self._bias
        return [int(digit) for digit in scores.argmax(axis=1)]

    def agreement(self, images: list[Pixels], labels: list[int]) -> float:
        """The share of images that are read as they are labelled."""
        return sum(map(int.__eq__, self.read(images), labels)) / len(labels)


def _scaled(images: list[Pixels]) -> np.ndarray:
    return np.array(images) / WHITE
