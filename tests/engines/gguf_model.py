"""A model file for llama.cpp whose weights are written down, not learnt: each token names the one that follows it.

No attention, no hidden layer: the embedding of a token is a unit vector, the output matrix leads it to the next token.
What the prompt ends with decides the answer, and the chat template ends it differently where tools are declared. So a
real llama.cpp tokenises, samples, applies the grammar of a tool call and streams, and the answer is known beforehand.
"""

import struct
from array import array
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path

TEMPLATE = (
    "{%- if tools %}{%- for tool in tools %}<|tool|>{{ tool | tojson }}{%- endfor %}{%- endif %}"
    "{%- for message in messages %}<|turn|>{{ message.role }}\n{{ message.content or '' }}"
    "{%- for call in message.tool_calls or [] %}<tool_call>\n"
    '{"name": {{ call.function.name | tojson }}, "arguments": {{ call.function.arguments | tojson }}}'
    "\n</tool_call>{%- endfor %}<|end|>{%- endfor %}"
    "{%- if add_generation_prompt %}<|turn|>assistant\n"
    "{% if tools %}<|errand|>{% else %}<|chat|>{% endif %}{%- endif %}"
)
CALL = '{"name": "add_to_list", "arguments": {"list_name": "shopping", "item": "milk"}}'
ANSWERS = (
    ("<|chat|>", "Hello", " there", ".", "<|end|>"),
    ("<|errand|>", "<tool_call>", "\n" + CALL, "\n", "</tool_call>", "<|end|>"),
)
_CONTROL = ("<|end|>", "<|turn|>", "<|tool|>", "<|chat|>", "<|errand|>")
_TAGS = ("<tool_call>", "</tool_call>")
_WIDTH, _HIDDEN, _CONTEXT = 288, 32, 4096
_NORMAL, _CONTROL_TYPE, _USER_DEFINED = 1, 3, 4
_STRING, _ARRAY, _U32, _F32, _I32 = 8, 9, 4, 6, 5
_ALIGNMENT = 32
Tensor = tuple[str, tuple[int, ...], "array[float]"]


def write_model(path: Path) -> Path:
    """Write the GGUF file (0.7 MB) and return its path."""
    tokens, types = _vocabulary()
    tensors = list(_tensors(tokens))
    values = _values(tokens, types)
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(values)) + b"".join(values)
    offset, body = 0, b""
    for name, shape, numbers in tensors:
        dimensions = struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
        head += _text(name) + dimensions + struct.pack("<IQ", 0, offset)
        data = numbers.tobytes()
        body += data + bytes(-len(data) % _ALIGNMENT)
        offset = len(body)
    path.write_bytes(head + bytes(-len(head) % _ALIGNMENT) + body)
    return path


def _vocabulary() -> tuple[list[str], list[int]]:
    """Return the tokens and their types: all bytes, what the answers are made of, what marks turns."""
    spoken = [piece for answer in ANSWERS for piece in answer if piece not in (*_CONTROL, *_TAGS)]
    letters = _byte_letters()
    as_letters = ["".join(letters[byte] for byte in piece.encode()) for piece in spoken if len(piece) > 1]
    tokens = [*letters, *as_letters, *_TAGS, *_CONTROL]
    types = (
        [_NORMAL] * (len(letters) + len(as_letters)) + [_USER_DEFINED] * len(_TAGS) + [_CONTROL_TYPE] * len(_CONTROL)
    )
    return tokens, types


def _byte_letters() -> list[str]:
    """Return the letter by which GPT-2's vocabulary writes each byte."""
    printable = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    others = iter(range(256, 512))
    return [chr(byte) if byte in printable else chr(next(others)) for byte in range(256)]


def _tensors(tokens: list[str]) -> Iterator[Tensor]:
    """Yield name, shape (the inner dimension first) and numbers."""
    letters = _byte_letters()

    def number_of(piece: str) -> int:
        return tokens.index(piece if piece in tokens else "".join(letters[byte] for byte in piece.encode()))

    embedding, output = _zeros(len(tokens) * _WIDTH), _zeros(len(tokens) * _WIDTH)
    for token in range(len(tokens)):
        embedding[token * _WIDTH + token] = 1.0
    for answer in ANSWERS:
        for piece, following in pairwise(answer):
            output[number_of(following) * _WIDTH + number_of(piece)] = 1.0
    yield "token_embd.weight", (_WIDTH, len(tokens)), embedding
    yield "output.weight", (_WIDTH, len(tokens)), output
    for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"):
        yield f"{name}.weight", (_WIDTH,), array("f", [1.0] * _WIDTH)
    for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
        yield f"blk.0.{name}.weight", (_WIDTH, _WIDTH), _zeros(_WIDTH * _WIDTH)
    for name, shape in (("gate", (_WIDTH, _HIDDEN)), ("up", (_WIDTH, _HIDDEN)), ("down", (_HIDDEN, _WIDTH))):
        yield f"blk.0.ffn_{name}.weight", shape, _zeros(_WIDTH * _HIDDEN)


def _values(tokens: list[str], types: list[int]) -> list[bytes]:
    end = tokens.index("<|end|>")
    numbers: Mapping[str, int] = {
        "llama.context_length": _CONTEXT,
        "llama.embedding_length": _WIDTH,
        "llama.block_count": 1,
        "llama.feed_forward_length": _HIDDEN,
        "llama.attention.head_count": 9,
        "llama.rope.dimension_count": 32,
        "tokenizer.ggml.bos_token_id": end,
        "tokenizer.ggml.eos_token_id": end,
    }
    words: Mapping[str, str] = {
        "general.architecture": "llama",
        "general.name": "written down",
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.chat_template": TEMPLATE,
    }
    return [
        *(_text(key) + struct.pack("<I", _STRING) + _text(value) for key, value in words.items()),
        *(_text(key) + struct.pack("<II", _U32, value) for key, value in numbers.items()),
        _text("llama.attention.layer_norm_rms_epsilon") + struct.pack("<If", _F32, 1e-6),
        _list("tokenizer.ggml.tokens", _STRING, [_text(token) for token in tokens]),
        _list("tokenizer.ggml.token_type", _I32, [struct.pack("<i", kind) for kind in types]),
        _list("tokenizer.ggml.merges", _STRING, [_text("t h")]),
    ]


def _list(key: str, kind: int, items: list[bytes]) -> bytes:
    return _text(key) + struct.pack("<IIQ", _ARRAY, kind, len(items)) + b"".join(items)


def _text(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def _zeros(count: int) -> "array[float]":
    return array("f", bytes(4 * count))
