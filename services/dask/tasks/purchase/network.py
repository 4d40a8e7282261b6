"""A small neural network beside the published model: the same features, the same weeks, trained by torch.distributed.

It is an extra, for people who want to hold a network against gradient boosting: no pipeline trains or publishes it.
PyTorch learns the weights; they are plain arrays afterwards, and what they predict is computed by NumPy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Self

import numpy as np
import polars as pl

from leandata.compute import Compute
from tasks.purchase import evaluate, ranks, scores
from tasks.purchase.evaluate import Learnt
from tasks.purchase.ranks import Rank
from tasks.purchase.scores import Bools, Floats, Score

OURS, PUBLISHED = "PyTorch", "gradient boosting"
TOLERANCE = 1e-6
"""By how much probabilities may differ with the number of ranks: sums of gradients are rounded in another order."""
_LARGEST = 60.0
_NOTHING = 1e-9  # what rounding leaves of a feature that never varies


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """How it learns: two hidden layers of these widths, Adam, so many passes; chosen once, not on the judged weeks."""

    widths: tuple[int, int] = (32, 16)
    passes: int = 12
    batch: int = 2048
    rate: float = 0.002
    decay: float = 1e-4
    seed: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Scale:
    """What brings features to about -2 to 2: the logarithm of counts and cents, then mean and deviation.

    What is not known becomes the mean, and `unknown` are the features that get a column of their own saying so.
    """

    means: Floats
    deviations: Floats
    unknown: tuple[int, ...]

    @classmethod
    def of(cls, raw: Floats) -> Self:
        """By these rows; a feature that never varies, or that nobody has, becomes 0."""
        known = ~np.isnan(_damped(raw))
        counts = np.maximum(known.sum(axis=0), 1)
        values = np.where(known, _damped(raw), 0.0)
        means = values.sum(axis=0) / counts
        deviations = np.sqrt((np.where(known, values - means, 0.0) ** 2).sum(axis=0) / counts)
        missing = np.flatnonzero(~known.all(axis=0))
        return cls(
            means=means, deviations=np.where(deviations > _NOTHING, deviations, 1.0), unknown=tuple(map(int, missing))
        )

    def apply(self, raw: Floats) -> Floats:
        """The rows as the network takes them."""
        scaled = (_damped(raw) - self.means) / self.deviations
        said = np.isnan(scaled)
        return np.column_stack([np.where(said, 0.0, scaled), said[:, list(self.unknown)].astype(np.float64)])


@dataclass(frozen=True, kw_only=True, slots=True)
class Network:
    """What was learnt: a matrix and a bias of each layer, beside the features' scale and BG/NBD's log odds."""

    layers: tuple[tuple[Floats, Floats], ...]
    scale: Scale
    learnt: Learnt

    def chances(self, rows: pl.DataFrame) -> Floats:
        """The probability of each row of a panel."""
        values = self.scale.apply(_features(rows, self.learnt))
        for weights, bias in self.layers[:-1]:
            values = np.maximum(values @ weights.T + bias, 0.0)
        weights, bias = self.layers[-1]
        odds = np.clip((values @ weights.T + bias)[:, 0], -_LARGEST, _LARGEST)
        return np.asarray(1 / (1 + np.exp(-odds)), dtype=np.float64)


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """AUC and log loss of each model on the judged weeks, and the log loss that the network saves against the published
    model's recipe, paired: worth a closer look only where its interval lies above 0."""

    auc: Mapping[str, Score]
    log_loss: Mapping[str, Score]
    gain: Score

    def table(self) -> str:
        """For people: a line for each model with its 95% intervals."""
        lines = [f"{'':<18} {'AUC':<27} log loss"]
        lines += [f"{name:<18} {_shown(self.auc[name]):<27} {_shown(self.log_loss[name])}" for name in sorted(self.auc)]
        return "\n".join([*lines, f"{OURS} saves {_shown(self.gain)} nats against {PUBLISHED}"])


def compare(
    compute: Compute, *, lake_url: str, files: Sequence[str], until: date, size: int = 1, recipe: Recipe | None = None
) -> Comparison:
    """Learn on `size` ranks and judge beside the published model's recipe and its baselines, on the same weeks.

    Raises ComputeError as `evaluate` and `ranks.run` do.
    """
    rows = evaluate.known(compute, lake_url=lake_url, files=files, until=until)
    before, after = evaluate.split(rows, until=until)
    network = learn(compute, before, size=size, recipe=recipe)
    given = {**evaluate.predictions(before, after), OURS: network.chances(after)}
    bought, customers = evaluate.labels(after), after["customer_id"].to_numpy()
    return Comparison(
        auc={name: scores.auc_interval(bought, one, customers) for name, one in sorted(given.items())},
        log_loss={name: scores.mean(scores.log_losses(bought, one), customers) for name, one in sorted(given.items())},
        gain=scores.better(bought, given[OURS], given[PUBLISHED], customers),
    )


def learn(compute: Compute, rows: pl.DataFrame, *, size: int = 1, recipe: Recipe | None = None) -> Network:
    """A network that learnt from these rows on so many ranks, which gives the same within `TOLERANCE`."""
    learnt = evaluate.learn(rows)
    raw = _features(rows, learnt)
    scale = Scale.of(raw)
    asked = {"features": scale.apply(raw), "bought": evaluate.labels(rows), "recipe": recipe or Recipe()}
    layers = ranks.run(compute, fit, asked, ranks=size)[0]
    return Network(layers=tuple(layers), scale=scale, learnt=learnt)


def fit(rank: Rank, *, features: Floats, bought: Bools, recipe: Recipe) -> list[tuple[Floats, Floats]]:
    """The layers, equal on every rank.

    Each batch is cut among the ranks. Their gradients are averaged, so that a rank's share counts `size` times over the
    whole batch: the average is the gradient of the batch's mean, however many ranks there are.
    """
    torch = ranks.torch()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        model = _model(torch, features.shape[1], recipe)
        spread = torch.nn.parallel.DistributedDataParallel(model) if rank.size > 1 else model
        adam = torch.optim.AdamW(model.parameters(), lr=recipe.rate, weight_decay=recipe.decay)
        loss_of = torch.nn.BCEWithLogitsLoss(reduction="sum")
        inputs, wanted = torch.from_numpy(features), torch.from_numpy(bought.astype(np.float64))
        order = torch.Generator().manual_seed(recipe.seed)
        for _ in range(recipe.passes):
            for batch in torch.randperm(len(wanted), generator=order).split(recipe.batch):
                mine = batch[rank.number :: rank.size]
                loss = loss_of(spread(inputs[mine])[:, 0], wanted[mine]) * rank.size / len(batch)
                adam.zero_grad()
                loss.backward()
                adam.step()
        return [
            (layer.weight.detach().numpy().copy(), layer.bias.detach().numpy().copy())
            for layer in model
            if isinstance(layer, torch.nn.Linear)
        ]
    finally:
        torch.set_num_threads(threads)


def _model(torch: Any, inputs: int, recipe: Recipe) -> Any:
    """Double precision, and the same weights to begin with on every rank, whatever else drew random numbers."""
    first, second = recipe.widths
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        layers = torch.nn
        return layers.Sequential(
            layers.Linear(inputs, first), layers.ReLU(), layers.Linear(first, second), layers.ReLU(),
            layers.Linear(second, 1),
        ).double()  # fmt: skip


def _features(rows: pl.DataFrame, learnt: Learnt) -> Floats:
    """Those of the published model: without ages, which reach it through BG/NBD's log odds only."""
    return evaluate.beside(rows, learnt.names, learnt.baseline)


def _damped(raw: Floats) -> Floats:
    return np.sign(raw) * np.log1p(np.abs(raw))


def _shown(score: Score) -> str:
    return f"{score.value:.4f} ({score.low:.4f} to {score.high:.4f})"
