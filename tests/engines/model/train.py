"""Train a tiny Qwen2 that knows our phrases by heart, and save it the way vLLM loads it: `python train.py OUT`.

The chat template leaves declared tools out of the prompt, so that the model sees the same tokens whatever engine serves
it and however that engine writes tools down. Runs with the packages of requirements.txt, alone; a minute on two cores.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

PHRASES = Path(__file__).with_name("phrases.json")
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
TAGS = ["<tool_call>", "</tool_call>"]
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
VOCABULARY, LONGEST = 512, 1024
ENOUGH, MOST_STEPS = 0.002, 1500
IGNORED = -100
Row = tuple[list[int], list[int]]
"""Tokens of the question, tokens of the answer."""


def wanted_answers() -> Iterator[tuple[str, str]]:
    """Yield what is said and what the model must answer, tool calls in the Hermes form."""
    read: dict[str, list[dict[str, Any]]] = json.loads(PHRASES.read_text(encoding="utf-8"))
    for phrase in read["phrases"]:
        calls = [f"<tool_call>\n{json.dumps(call)}\n</tool_call>" for call in phrase["calls"]]
        yield phrase["say"], "\n".join(calls) or phrase["answer"]
    for line in read["chat"]:
        yield line["say"], line["answer"]


def make_tokenizer(texts: list[str]) -> PreTrainedTokenizerFast:
    """Return a byte-level BPE over the texts, with the chat template in it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(TAGS),
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_tokens(TAGS)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        chat_template=TEMPLATE,
        model_max_length=LONGEST,
    )


def make_model(tokenizer: PreTrainedTokenizerFast) -> Qwen2ForCausalLM:
    config = Qwen2Config(
        vocab_size=VOCABULARY,
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=LONGEST,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return Qwen2ForCausalLM(config)


def make_rows(tokenizer: PreTrainedTokenizerFast, pairs: list[tuple[str, str]]) -> list[Row]:
    rows = []
    for said, answer in pairs:
        messages = [{"role": "user", "content": said}]
        prompt = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        rows.append((_encode(tokenizer, prompt), _encode(tokenizer, f"{answer}<|im_end|>")))
    return rows


def _encode(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    return list(tokenizer.encode(text, add_special_tokens=False))


def train(model: Qwen2ForCausalLM, rows: list[Row], padding: int) -> int:
    """Fit the answers, all rows in each step, until the loss is small; return how many steps it took."""
    longest = max(len(question) + len(answer) for question, answer in rows)
    tokens = torch.full((len(rows), longest), padding)
    wanted = torch.full((len(rows), longest), IGNORED)
    for place, (question, answer) in enumerate(rows):
        end = len(question) + len(answer)
        tokens[place, :end] = torch.tensor(question + answer)
        wanted[place, len(question) : end] = torch.tensor(answer)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    model.train()
    for step in range(1, MOST_STEPS + 1):
        loss = model(input_ids=tokens, labels=wanted).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if loss.item() < ENOUGH:
            return step
    raise SystemExit(f"the model did not learn its phrases in {MOST_STEPS} steps: loss {loss.item():.4f}")


def check(model: Qwen2ForCausalLM, rows: list[Row]) -> None:
    """Exit unless greedy decoding answers every phrase word for word, in the precision that is served."""
    wrong = [place for place, row in enumerate(rows) if not _is_exact(model, row)]
    if wrong:
        raise SystemExit(f"answered wrongly: phrases {wrong} of {len(rows)}")


def _is_exact(model: Qwen2ForCausalLM, row: Row) -> bool:
    """Return whether each next token is the likeliest; then decoding step by step takes the same path."""
    question, answer = row
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([question + answer])).logits[0]
    return bool(torch.equal(logits[len(question) - 1 : -1].argmax(-1), torch.tensor(answer)))


def main(out: Path) -> None:
    torch.manual_seed(7)
    torch.use_deterministic_algorithms(True)
    pairs = list(wanted_answers())
    tokenizer = make_tokenizer([text for pair in pairs for text in pair] + ["user\nassistant\n"])
    model, rows = make_model(tokenizer), make_rows(tokenizer, pairs)
    steps = train(model, rows, int(tokenizer.pad_token_id))
    served = model.to(torch.bfloat16).eval()
    check(served, rows)
    served.save_pretrained(out)
    tokenizer.save_pretrained(out)
    print(f"{sum(part.numel() for part in served.parameters())} parameters, {steps} steps, {len(rows)} answers exact")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
