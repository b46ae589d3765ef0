"""The selector with its trained judge on turns that it was not trained with."""

import re

import numpy as np
import pytest
from numpy.typing import NDArray

from memory.search.selector import judgement_of
from memory.search.selector_model import (
    BUCKETS,
    TRAINED_FOR,
    Kind,
    SelectorModel,
    Thresholds,
    features,
)
from retrieval.embedding import Embedder
from scripts.selector.turns import training_turns
from services.runtime.config.settings import ServiceSettings
from services.runtime.models.store import ModelStore
from tests.requirements import need
from tests.unit.memory.selector_turns import held_out_turns

Judged = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]


def judge(encoder: str) -> tuple[SelectorModel, Embedder]:
    models = ModelStore(ServiceSettings.from_environment().data_dir / "models")
    embedder = Embedder(models.path(encoder))
    model = SelectorModel.shipped(embedder.model_id)
    assert model is not None
    return model, embedder


def test_the_held_out_turns_are_others() -> None:
    templates = {turn.template for turn in training_turns()}
    held_out = held_out_turns()
    assert len(held_out) >= 300
    assert templates.isdisjoint(turn.template for turn in held_out)
    texts = {turn.text.rstrip("?.") for turn in training_turns()}
    assert texts.isdisjoint(turn.text.rstrip("?.") for turn in held_out)


@pytest.fixture(scope="module", params=zip(("encoder", "minilm"), TRAINED_FOR, strict=True))
def judged(request: pytest.FixtureRequest) -> Judged:
    """Returns for each held-out turn its kind, the predicted kind, and whether it is Chinese."""
    requirement, encoder = request.param
    need(requirement)
    model, embedder = judge(encoder)
    turns = held_out_turns()
    vectors = embedder.embed([turn.text for turn in turns])
    kinds = [
        judgement_of(turn.text, v, model).kind.value for turn, v in zip(turns, vectors, strict=True)
    ]
    chinese = [re.search("[\u4e00-\u9fff]", turn.text) is not None for turn in turns]
    return np.array([turn.label for turn in turns]), np.array(kinds), np.array(chinese)


def test_precision_and_recall_on_held_out_turns(judged: Judged) -> None:
    labels, kinds, chinese = judged
    for name, part in (("all", chinese | ~chinese), ("English", ~chinese), ("Chinese", chinese)):
        wanted, given = labels[part], kinds[part]
        precision, recall = (wanted > 0)[given > 0].mean(), (given > 0)[wanted > 0].mean()
        skipped = (given == 0)[wanted == 0].mean()
        print(
            f"{name}: {part.sum()} turns; need: precision {precision:.3f}, recall {recall:.3f}; "
            f"needless ones found {skipped:.3f}; kind right {np.mean(wanted == given):.3f}"
        )
        for kind in Kind:
            right = np.sum((wanted == kind.value) & (given == kind.value))
            print(
                f"  {kind.name}: {np.sum(wanted == kind.value)} turns, precision "
                f"{right / np.sum(given == kind.value):.3f}, recall "
                f"{right / np.sum(wanted == kind.value):.3f}"
            )
        assert recall >= 0.95
        assert precision >= 0.9
        assert skipped >= 0.6


def test_what_is_needed_is_seldom_left_out(judged: Judged) -> None:
    """Omitting a source is worse than searching it in vain, so an uncertain turn gets both."""
    labels, kinds, _ = judged
    asks = {"personal": (1, 3), "knowledge": (2, 3)}
    for name, searched in asks.items():
        left_out = ~np.isin(kinds[np.isin(labels, searched)], searched)
        print(f"{name} needed but not searched: {left_out.mean():.3f} of {left_out.size}")
        assert left_out.mean() <= 0.15
    only = np.isin(labels, (1, 2))
    saved = (kinds == labels)[only].mean()
    print(f"of turns that need one of the two, only that one is searched: {saved:.3f}")
    assert saved >= 0.7


def test_weights_of_another_encoder_are_not_used() -> None:
    assert SelectorModel.shipped("another@0123") is None
    assert SelectorModel.shipped("") is None


def test_a_judge_with_no_weights_sees_need() -> None:
    thresholds = Thresholds(least_need=0.5, sure_personal=0.5, sure_knowledge=0.5)
    model = SelectorModel(np.zeros((4, 4 + BUCKETS + 1), dtype=np.float32), thresholds)
    kind, chance = model.kind_of("anything", np.ones(4, dtype=np.float32))
    assert (kind, chance) == (Kind.BOTH, 0.75)
    assert np.isfinite(features("", np.ones(4, dtype=np.float32))).all()
