"""A random model of the Qwen3 kind in Hugging Face's own format, small enough for a test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from testing.models.tiny_tokeniser import CHAT_TEMPLATE, CONTEXT_TOKENS, END, trained_tokeniser

ADAPTERS = ("calm", "loud")


def make_tiny_model(folder: Path, *, context_tokens: int = CONTEXT_TOKENS) -> None:
    """Writes model, tokeniser and adapters; the same each time.

    Args:
        folder: Where to.
        context_tokens: The context of the model.
    """
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    tokeniser = _tokeniser()
    tokeniser.save_pretrained(folder / "model")
    torch.manual_seed(7)
    config = Qwen3Config(
        vocab_size=len(tokeniser),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        # vLLM's attention for CPUs knows 32 but not the 16 that would follow from the sizes
        head_dim=32,
        max_position_embeddings=context_tokens,
        initializer_range=0.4,
        tie_word_embeddings=False,
        eos_token_id=tokeniser.eos_token_id,
        pad_token_id=tokeniser.pad_token_id,
        bos_token_id=None,
    )
    model = Qwen3ForCausalLM(config)
    with (
        torch.no_grad()
    ):  # an answer is never empty: neither its end nor half characters are chosen
        for token, number in tokeniser.get_vocab().items():
            if not any(char.isascii() and char.isalnum() for char in token) or "|" in token:
                model.lm_head.weight[number] = 0.0
    model.save_pretrained(folder / "model")
    for number, name in enumerate(ADAPTERS):
        _make_adapter(folder, name, seed=number)


def _tokeniser() -> Any:
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_object=trained_tokeniser(),
        eos_token=END,
        pad_token="<|endoftext|>",
        chat_template=CHAT_TEMPLATE,
        model_max_length=CONTEXT_TOKENS,
    )


def _make_adapter(folder: Path, name: str, *, seed: int) -> None:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import Qwen3ForCausalLM

    base = Qwen3ForCausalLM.from_pretrained(folder / "model")
    lora = LoraConfig(
        r=8, lora_alpha=16, target_modules=["q_proj", "v_proj", "o_proj"], task_type="CAUSAL_LM"
    )
    adapted = get_peft_model(base, lora)
    torch.manual_seed(seed)
    for key, parameter in adapted.named_parameters():
        if "lora_" in key:
            parameter.data.normal_(0.0, 0.3)
    adapted.save_pretrained(folder / "adapters" / name)
