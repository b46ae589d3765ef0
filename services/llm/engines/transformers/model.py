"""A causal language model of the transformers library, with its adapters. Not thread-safe."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    StoppingCriteria,
    StoppingCriteriaList,
    TextStreamer,
)

from services.llm.engine import EndReason
from services.llm.engines.chat_tokeniser import ChatTokeniser
from services.llm.engines.local_model import (
    AdapterVersion,
    LocalModelOptions,
    find_adapter,
)
from services.llm.engines.transformers.stops import StopFilter
from services.llm.metrics import ANSWER_TOKENS, PROMPT_TOKENS
from services.llm.prompt.prompt import Prompt
from services.runtime.errors import FailedPrecondition

Emit = Callable[[str | EndReason], bool]


class LoadedModel:
    """The loaded model, on a GPU if there is one."""

    def __init__(self, options: LocalModelOptions) -> None:
        """Loads tokeniser and model.

        Raises:
            FailedPrecondition: They cannot be read.
        """
        self._options = options
        device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            self._tokeniser = AutoTokenizer.from_pretrained(options.model)
            model = AutoModelForCausalLM.from_pretrained(options.model, dtype=options.dtype)
        except (OSError, ValueError) as error:
            raise FailedPrecondition(
                f"ANIMA_LLM_MODEL: {options.model} cannot be read: {error}"
            ) from error
        self._model = model.to(device).eval()
        self._chats = ChatTokeniser(self._tokeniser, options)
        self._adapters: dict[str, str] = {}

    def write(self, prompt: Prompt, emit: Emit) -> None:
        """Generates an answer; stops at once when `emit` returns False.

        Raises:
            AnimaError: The adapter of the persona cannot be used, or the prompt does not fit.
        """
        tokens, _ = self._chats.encode(prompt)
        sent = torch.tensor([tokens], device=self._model.device)
        streamer = _Streamer(self._tokeniser, StopFilter(self._options.stop), emit)
        sampled: dict[str, float | bool] = {"do_sample": False}
        if self._options.temperature:
            sampled = {
                "do_sample": True,
                "temperature": self._options.temperature,
                "top_p": self._options.top_p,
            }
        if self._options.seed is not None:
            torch.manual_seed(self._options.seed)
        with self._adapted(prompt.persona.profile.adapter), torch.inference_mode():
            written = self._model.generate(
                input_ids=sent,
                attention_mask=torch.ones_like(sent),
                max_new_tokens=self._options.max_tokens,
                streamer=streamer,
                stopping_criteria=StoppingCriteriaList([_Stop(streamer)]),
                **sampled,
            )
        count = written.shape[1] - len(tokens)
        PROMPT_TOKENS.labels("transformers").inc(len(tokens))
        ANSWER_TOKENS.labels("transformers").inc(count)
        if not streamer.over:
            ends = self._model.generation_config.eos_token_id
            ends = ends if isinstance(ends, list) else [ends]
            complete = int(written[0, -1]) in ends
            emit(EndReason.COMPLETE if complete else EndReason.LENGTH)
        elif streamer.stops.stopped:
            emit(EndReason.COMPLETE)

    def _adapted(self, name: str) -> contextlib.AbstractContextManager[None]:
        if name:
            found = find_adapter(name, self._options)
            self._load(found)
            return self._with_adapter(f"{found.name}-{found.version}".replace(".", "_"))
        return contextlib.nullcontext()

    @contextlib.contextmanager
    def _with_adapter(self, key: str) -> Any:
        self._model.set_adapter(key)
        self._model.enable_adapters()
        try:
            yield
        finally:
            self._model.disable_adapters()

    def _load(self, found: AdapterVersion) -> None:
        key = f"{found.name}-{found.version}".replace(".", "_")
        if self._adapters.get(found.name) == key:
            return
        try:
            self._model.load_adapter(str(found.folder), adapter_name=key)
        except Exception as error:  # peft raises errors of many types for incompatible files
            raise FailedPrecondition(
                f"the adapter {found.name!r} cannot be used with the model: {error}",
                reason="ADAPTER",
            ) from error
        self._model.disable_adapters()
        old = self._adapters.get(found.name)
        if old is not None:
            self._model.delete_adapter(old)
        self._adapters[found.name] = key


class _Streamer(TextStreamer):  # type: ignore[misc]
    """Emits text as soon as it is complete."""

    def __init__(self, tokeniser: Any, stops: StopFilter, emit: Emit) -> None:
        super().__init__(tokeniser, skip_prompt=True, skip_special_tokens=True)
        self.stops = stops
        self.over = False
        self._emit = emit

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
        """Called by the library with each piece of text."""
        text = self.stops.feed(text)
        if stream_end and not self.stops.stopped:
            text += self.stops.finish()
        if text and not self.over and not self._emit(text):
            self.over = True
        self.over = self.over or self.stops.stopped


class _Stop(StoppingCriteria):  # type: ignore[misc]
    """Ends the generation once its streamer is over."""

    def __init__(self, streamer: _Streamer) -> None:
        self._streamer = streamer

    def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> Any:
        """Whether each row is done."""
        return torch.full((input_ids.shape[0],), self._streamer.over, device=input_ids.device)
