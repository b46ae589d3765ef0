"""The tokeniser and chat template of the tiny language models."""

from __future__ import annotations

from typing import Any

from services.runtime.config.settings import CHECKOUT

CONTEXT_TOKENS = 4_096
END = "<|im_end|>"
SPECIAL_TOKENS = ("<|endoftext|>", "<|im_start|>", END)
CHAT_TEMPLATE = (
    "{% if tools %}<|im_start|>system\n{% for tool in tools %}{{ tool | tojson }}\n{% endfor %}"
    "<|im_end|>\n{% endif %}"
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}"
    "{% for call in message.tool_calls or [] %}<tool_call>\n{{ call.function | tojson }}\n"
    "</tool_call>{% endfor %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def trained_tokeniser() -> Any:
    """Returns a byte-level BPE of the library `tokenizers`, trained on the shipped persona."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    texts = [
        path.read_text(encoding="utf-8")
        for path in sorted((CHECKOUT / "personas" / "anima").rglob("*"))
        if path.suffix in (".toml", ".md")
    ]
    bare = Tokenizer(models.BPE())
    bare.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bare.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=1024,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=list(SPECIAL_TOKENS),
        show_progress=False,
    )
    bare.train_from_iterator(texts, trainer)
    return bare
