"""The trained judge on turns that it was not trained with."""

import re

import numpy as np

from memory.selector_model import BUCKETS, Kind, SelectorModel, features
from retrieval.embedding import Embedder
from scripts.selector.turns import training_turns
from services.runtime.model_store import ModelStore
from services.runtime.settings import ServiceSettings
from tests.requirements import need
from tests.unit.memory.selector_turns import held_out_turns


def judge() -> tuple[SelectorModel, Embedder]:
    need("minilm")
    models = ModelStore(ServiceSettings.from_environment().data_dir / "models")
    embedder = Embedder(models.path("minilm-l6-v2"))
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


def test_precision_and_recall_on_held_out_turns() -> None:
    model, embedder = judge()
    turns = held_out_turns()
    vectors = embedder.embed([turn.text for turn in turns])
    judged = np.array(
        [model.kind_of(turn.text, v).value for turn, v in zip(turns, vectors, strict=True)]
    )
    labels = np.array([turn.label for turn in turns])
    chinese = np.array([re.search("[\u4e00-\u9fff]", turn.text) is not None for turn in turns])
    for name, part in (("all", chinese | ~chinese), ("English", ~chinese), ("Chinese", chinese)):
        needing, passed = labels[part] > 0, judged[part] > 0
        precision, recall = needing[passed].mean(), passed[needing].mean()
        skipped = (~passed)[~needing].mean()
        print(
            f"{name}: {part.sum()} turns; need: precision {precision:.3f}, recall {recall:.3f}; "
            f"needless ones found {skipped:.3f}; kind right {np.mean(judged == labels):.3f}"
        )
        assert recall >= 0.95
        assert precision >= 0.8
        assert skipped >= 0.6
    assert np.mean(judged == labels) >= 0.85


def test_weights_of_another_encoder_are_not_used() -> None:
    assert SelectorModel.shipped("another@0123") is None
    assert SelectorModel.shipped("") is None


def test_a_judge_with_no_weights_sees_need() -> None:
    model = SelectorModel(np.zeros((3, 4 + BUCKETS + 1), dtype=np.float32), least_need=0.5)
    assert model.kind_of("anything", np.ones(4, dtype=np.float32)) is not Kind.NOTHING
    assert np.isfinite(features("", np.ones(4, dtype=np.float32))).all()
