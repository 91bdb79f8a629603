#!/usr/bin/env python3
"""Write src/unicode_tables.rs from Python's unicodedata.

    python3.11 tools/unicode_tables.py           # writes the file
    python3.11 tools/unicode_tables.py --check   # compares, writes nothing
"""

import pathlib
import sys
import unicodedata

TABLES = [
    ("NONSPACING_MARK", "Category Mn: what accent stripping removes.", ("Mn",)),
    ("PUNCTUATION", "Categories P*: each such character is a word of its own.", ("Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps")),
    ("FORMAT_OR_PRIVATE", "Categories Cf and Co: dropped from the text, as control characters are.", ("Cf", "Co")),
]


def ranges(categories: tuple[str, ...]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for code_point in range(0x110000):
        if unicodedata.category(chr(code_point)) not in categories:
            continue
        if found and found[-1][1] == code_point - 1:
            found[-1] = (found[-1][0], code_point)
        else:
            found.append((code_point, code_point))
    return found


def main() -> None:
    lines = [
        f"//! Ranges of Unicode {unicodedata.unidata_version} categories, first and last code point, in order.",
        "//!",
        "//! Written by `tools/unicode_tables.py`; do not edit by hand.",
    ]
    for name, meaning, categories in TABLES:
        table = ranges(categories)
        lines += ["", f"/// {meaning}", "#[rustfmt::skip]", f"pub const {name}: &[(u32, u32)] = &["]
        for start in range(0, len(table), 5):
            lines.append("    " + " ".join(f"(0x{first:X}, 0x{last:X})," for first, last in table[start : start + 5]))
        lines.append("];")
    text = "\n".join(lines) + "\n"
    target = pathlib.Path(__file__).resolve().parent.parent / "src" / "unicode_tables.rs"
    if "--check" not in sys.argv[1:]:
        target.write_text(text)
    elif target.read_text() != text:
        sys.exit(f"{target.name} differs from what unicodedata {unicodedata.unidata_version} gives")


if __name__ == "__main__":
    main()
