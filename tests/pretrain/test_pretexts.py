"""The pretext tasks: against references written from the papers, trained, stopped, on two ranks, in combinations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from rs3l.config.losses import LOSSES, Jepa
from rs3l.dataset.features import FEATURES, FLAGS, features
from rs3l.dataset.store import JetBatch, load_views
from rs3l.errors import ConfigError
from rs3l.networks.base import DISPLACEMENT, InputNorm
from rs3l.networks.model_file import new_encoder
from rs3l.pretrain.pretexts import PREDICTED, PRETEXTS, OwnViews, Projection, hide, new_pretexts, pt_ranks
from rs3l.pretrain.pretrain import Trainer
from rs3l.training.checkpoint import Checkpoint
from support.pretext_tasks import ENCODERS, TASKS
from support.pretraining import VIEWS, block


def jets_of(manifest: Path, count: int = 12) -> JetBatch:
    """Return jets of the toy, of which the first has one candidate."""
    store = load_views(manifest, "train", ["signal", "background"], VIEWS, 16)
    jets = store.batch(store.rows()[:count])
    jets.mask[0, 1:] = False
    return jets


class Recipe:
    """One pretext task on some jets of the toy, in double precision."""

    def __init__(self, manifest: Path, **changes: Any) -> None:
        self.block = block(**changes)
        self.encoder = new_encoder(self.block.encoder, 16, 1, displacement=self.block.displacement)
        store = load_views(manifest, "train", ["signal", "background"], VIEWS, 16)
        self.encoder.fit_norm(store, store.rows())
        [self.task] = new_pretexts(self.block, self.encoder).values()
        self.task.fit(store, store.rows())
        self.encoder.double(), self.task.double()
        self.store, self.jets = store, jets_of(manifest)
        self.x = features(self.jets).double()
        self.draws = torch.rand(*self.jets.mask.shape, generator=torch.Generator().manual_seed(2))
        self.processes = torch.arange(len(self.x)) % 2

    def views(self) -> OwnViews:
        """Return the views."""
        run = lambda network, x, mask: network(x, mask)  # noqa: E731
        return OwnViews(run, Projection(self.encoder), self.x, self.jets.mask, self.processes, self.draws)


def test_the_registry_says_of_each_task_what_it_needs(manifest: Path) -> None:
    assert set(PRETEXTS) == {name for name, kind in LOSSES.items() if kind.pretext}
    for name, task in PRETEXTS.items():
        kind = LOSSES[name]
        assert (task.latents, task.hides) == (kind.latents, kind.hides)
        assert hasattr(Recipe(manifest, **TASKS[name]).task, "target") == kind.target


# --- multi-class ---


def test_multi_class_is_the_cross_entropy_of_a_linear_layer_on_h(manifest: Path) -> None:
    recipe = Recipe(manifest, **TASKS["multi_class"])
    found = recipe.task(recipe.views())
    weight, bias = recipe.task.head.weight.tolist(), recipe.task.head.bias.tolist()
    for h, process, term in zip(
        recipe.encoder(recipe.x, recipe.jets.mask).tolist(), recipe.processes.tolist(), found.tolist(), strict=True
    ):
        logits = [sum(w * v for w, v in zip(row, h, strict=True)) + b for row, b in zip(weight, bias, strict=True)]
        expected = -math.log(math.exp(logits[process]) / sum(map(math.exp, logits)))
        assert term == pytest.approx(expected, rel=1e-10)


def test_one_process_has_no_classes(manifest: Path) -> None:
    settings = block(loss="multi_class", processes=["signal"])
    with pytest.raises(ConfigError, match="multi_class tells processes apart, and there is signal alone; give a"):
        new_pretexts(settings, new_encoder(settings.encoder, 16, 1))


def test_the_labels_are_the_processes_of_the_rows(tmp_path: Path, manifest: Path) -> None:
    """From memory and from a stream, whose rows are those of a pool."""
    for stream in (False, True):
        settings = block(loss="multi_class", loop={"stream": stream})
        trainer = Trainer(settings, manifest, Checkpoint(tmp_path, settings, "a"))
        seen: list[Tensor] = []
        trainer.network = lambda x, mask, processes, draws: (seen.append(processes), (None, {}))[1]  # noqa: B023
        generator = trainer.train.generator(0)
        batch = next(iter(trainer.train.batches(generator, 0)))
        jets = batch.source.load(batch.rows, batch.part, trainer.place)
        trainer._outputs(batch.source, jets, batch.rows, generator, batch.part)
        names = [batch.source.store.process_names[code] for code in seen[0].tolist()]
        keys = batch.source.store.event_id[batch.rows[batch.rows >= 0]]
        known = load_views(manifest, "train", ["signal"], VIEWS, 16).event_id
        assert names == ["signal" if key in known else "background" for key in keys]
        assert set(names) == {"signal", "background"}


# --- masked particle modelling ---


@pytest.mark.parametrize("fraction", [0.05, 0.3, 0.5, 0.95])
def test_a_fraction_of_the_candidates_is_hidden(fraction: float) -> None:
    counts = torch.arange(17)
    mask = torch.arange(16) < counts[:, None]
    mask = mask.gather(1, torch.rand(17, 16, generator=torch.Generator().manual_seed(1)).argsort(dim=1))  # holes
    draws = torch.rand(17, 16, generator=torch.Generator().manual_seed(2))
    hidden = hide(mask, draws, fraction)
    for jet, n in enumerate(counts.tolist()):
        real = mask[jet].nonzero().flatten().tolist()
        count = max(0, min(max(1, round(fraction * n)), n - 1))
        chosen = sorted(real, key=lambda slot: draws[jet, slot].item())[:count]
        assert hidden.slots[jet][hidden.real[jet]].tolist() == chosen
        assert hidden.visible[jet].nonzero().flatten().tolist() == [slot for slot in real if slot not in chosen]


def test_more_padding_hides_the_same_candidates() -> None:
    mask, draws = torch.arange(16) < torch.tensor([[3], [9], [16]]), torch.rand(3, 24)
    wide = hide(nn.functional.pad(mask, (0, 8)), draws, 0.3)
    assert torch.equal(wide.visible[:, :16], hide(mask, draws[:, :16], 0.3).visible)


def test_every_candidate_is_hidden_equally_often() -> None:
    draws = torch.rand(4000, 10, generator=torch.Generator().manual_seed(1))
    often = (~hide(torch.ones(4000, 10, dtype=torch.bool), draws, 0.3).visible).double().mean(dim=0)
    assert (often - 0.3).abs().max() < 5 * math.sqrt(0.3 * 0.7 / 4000)


def test_places_by_pt_know_holes_and_any_order() -> None:
    x = torch.zeros(1, 5, len(FEATURES))
    x[0, :, FEATURES.index("log pt")] = torch.tensor([1.0, 4.0, 9.0, 2.0, 4.0])
    mask = torch.tensor([[True, True, False, True, True]])
    assert pt_ranks(x, mask)[0, [0, 1, 3, 4]].tolist() == [3, 0, 2, 1], "equal ones in their order"


def slow_masked(recipe: Recipe) -> list[float]:
    """Return the loss of each jet, hidden candidate by hidden candidate, from the definition in docs/pretrain.md."""
    task, encoder, result = recipe.task, recipe.encoder, []
    columns = [name for name in PREDICTED if encoder.displacement or name not in DISPLACEMENT]
    for x, mask, draws in zip(recipe.x, recipe.jets.mask, recipe.draws, strict=True):
        real = mask.nonzero().flatten().tolist()
        count = max(0, min(max(1, round(task.fraction * len(real))), len(real) - 1))
        chosen = sorted(real, key=lambda slot: draws[slot].item())[:count]
        by_pt = sorted(real, key=lambda slot: -x[slot, 0].item())
        left = [slot for slot in real if slot not in chosen]
        h = encoder(x[left][None], torch.ones(1, len(left), dtype=torch.bool))[0]
        terms = []
        for slot in chosen:
            hidden = torch.relu(task.jet(h) + task.place.weight[by_pt.index(slot)])
            found = task.head[3](torch.relu(task.head[1](hidden))).tolist()
            squares = []
            for value, name in zip(found, columns, strict=False):
                column = FEATURES.index(name)
                wanted = (x[slot, column] - task.norm.mean[column]) / task.norm.std[column]
                squares.append((value - wanted.item()) ** 2)
            logits, kind = found[len(columns) :], x[slot, -FLAGS:].tolist().index(1.0)
            entropy = -math.log(math.exp(logits[kind]) / sum(map(math.exp, logits)))
            terms.append(sum(squares) / len(columns) + entropy)
        result.append(sum(terms) / len(terms) if terms else 0.0)
    return result


@pytest.mark.parametrize("encoder", ENCODERS, ids=str)
@pytest.mark.parametrize("displacement", [True, False])
def test_masked_is_its_definition(manifest: Path, encoder: dict[str, Any], displacement: bool) -> None:
    recipe = Recipe(manifest, **TASKS["masked"], **encoder, displacement=displacement)
    found, expected = recipe.task(recipe.views()), slow_masked(recipe)
    assert found.tolist() == pytest.approx(expected, rel=1e-9)
    assert found[0] == 0 and (found[1:] > 0).all(), "one candidate: nothing can be hidden"


@pytest.mark.parametrize("encoder", ENCODERS, ids=str)
def test_hidden_candidates_are_not_seen(manifest: Path, encoder: dict[str, Any]) -> None:
    recipe = Recipe(manifest, **TASKS["masked"], **encoder)
    hidden = hide(recipe.jets.mask, recipe.draws, 0.3)
    views = recipe.views()
    before = views.masked(hidden.visible)
    views.x = recipe.x.masked_fill((recipe.jets.mask & ~hidden.visible)[..., None], 3.0)
    assert torch.equal(views.masked(hidden.visible), before)


def test_the_predicted_features_are_standardised_for_every_network(manifest: Path) -> None:
    """EdgeConv takes its inputs as they are, and its predictions are compared as those of the others."""
    for changes in ENCODERS:
        recipe = Recipe(manifest, **TASKS["masked"], **changes)
        expected = InputNorm()
        expected.fit(recipe.store, recipe.store.rows())
        assert torch.equal(recipe.task.norm.std, expected.std.double())


# --- joint-embedding prediction ---


def byol(first: Tensor, second: Tensor, recipe: Recipe) -> float:
    """BYOL (arXiv:2006.07733), equation 2 and its symmetric twin, averaged over the pairs, number by number."""

    def unit(values: Sequence[float]) -> list[float]:
        norm = math.sqrt(sum(value * value for value in values))
        return [value / norm for value in values]

    def one_way(online: Tensor, target: Tensor) -> float:
        total = 0.0
        for z, wanted in zip(online, target, strict=True):
            q = unit(recipe.task.predictor(z).tolist())
            total += 2 - 2 * sum(a * b for a, b in zip(q, unit(wanted.tolist()), strict=True))
        return total / len(online)

    networks = (recipe.encoder, recipe.task.target.encoder)
    z, wanted = ([net.project(net(x, mask)) for x, mask in (first, second)] for net in networks)
    return one_way(z[0], wanted[1]) + one_way(z[1], wanted[0])


@pytest.mark.parametrize("encoder", ENCODERS, ids=str)
def test_jepa_is_half_of_byols_loss(manifest: Path, encoder: dict[str, Any]) -> None:
    recipe = Recipe(manifest, **TASKS["jepa"], **encoder)
    with torch.no_grad():
        for weight in recipe.task.target.parameters():
            weight.mul_(1.1)  # not the network itself
    halves = zip(recipe.x.chunk(2), recipe.jets.mask.chunk(2), strict=True)
    assert recipe.task(recipe.views()).mean().item() == pytest.approx(byol(*halves, recipe) / 2, rel=1e-9)


def test_no_gradient_reaches_the_target(manifest: Path) -> None:
    recipe = Recipe(manifest, **TASKS["jepa"])
    recipe.task(recipe.views()).mean().backward()
    assert all(weight.grad is None and not weight.requires_grad for weight in recipe.task.target.parameters())
    assert all(weight.grad is not None for weight in recipe.task.predictor.parameters())
    assert all(weight.grad is not None for weight in recipe.encoder.parameters())
    assert not recipe.task.train().target.training


class Recorder(Trainer):
    """Notes the weights of the encoder after every step."""

    history: list[list[Tensor]]

    def step(self, *arguments: Any) -> None:
        """Take the step and note the weights."""
        super().step(*arguments)
        self.history.append([weight.detach().double() for weight in self.encoder.parameters()])


@pytest.mark.usefixtures("no_alarm")
def test_the_target_follows_the_recursion(tmp_path: Path, manifest: Path) -> None:
    settings = block(**TASKS["jepa"])
    trainer = Recorder(settings, manifest, Checkpoint(tmp_path, settings, "a"))
    trainer.history = []
    expected = [weight.detach().double() for weight in trainer.encoder.parameters()]
    trainer.run()
    total = settings.epochs * trainer.steps
    for step, weights in enumerate(trainer.history):
        momentum = 1 - (1 - 0.9) * (math.cos(math.pi * step / total) + 1) / 2  # arXiv:2006.07733, section 3.2
        expected = [momentum * old + (1 - momentum) * new for old, new in zip(expected, weights, strict=True)]
    assert len(trainer.history) == total
    target = trainer.objective.by_name["jepa"].target
    for found, wanted, last in zip(target.parameters(), expected, trainer.history[-1], strict=True):
        torch.testing.assert_close(found.double(), wanted, rtol=1e-5, atol=1e-6)
        assert not torch.equal(found.double(), last)


def test_the_momentum_goes_from_start_to_end() -> None:
    assert Jepa().momentum_at(0.0) == 0.996 and Jepa().momentum_at(1.0) == 1.0
    assert Jepa(momentum=0.9, final_momentum=0.9).momentum_at(0.3) == pytest.approx(0.9)
    assert Jepa(momentum=0.5).momentum_at(0.5) == pytest.approx(0.75)
