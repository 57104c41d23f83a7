#!/usr/bin/env python3
"""alike_table.py OUTPUT: the tables of base/alike_table.h as C, from the Unicode Character Database that Python has
(14.0.0 in Debian 12, 15.1.0 in Debian 13; a later one adds rare letters alone)."""
import re
import sys
import unicodedata

# Default_Ignorable_Code_Point (DerivedCoreProperties.txt), whose general category is not always Cf, and characters
# that a font draws as nothing: fillers, a blank of braille, a note without its head.
UNSEEN = [(0x034F, 0x034F), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x2060, 0x206F), (0x2800, 0x2800),
          (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFFB), (0x16FE4, 0x16FE4),
          (0x1D159, 0x1D159), (0xE0000, 0xE0FFF)]
# "A WITH RING ABOVE", "O WITH STROKE", "DOTLESS I", "SMALL CAPITAL K", "NEGATIVE CIRCLED LATIN CAPITAL LETTER A"
LATIN = re.compile(r"\bLATIN (?:CAPITAL |SMALL )?LETTER (?:SMALL CAPITAL |DOTLESS |AFRICAN |LONG |SCRIPT |BARRED )?"
                   r"([A-Z])(?: WITH .*)?$")


def is_mark(c):
    return unicodedata.category(c) in ("Mn", "Me")


def is_unseen(c):
    return unicodedata.category(c) == "Cf" or any(first <= ord(c) <= last for first, last in UNSEEN)


def fold(c):
    """What the character looks like without what does not count: accents, costume, letter case. "": as it is."""
    plain = "".join(x for x in unicodedata.normalize("NFKD", c) if not is_mark(x) and not is_unseen(x))
    latin = LATIN.search(unicodedata.name(c, ""))
    if unicodedata.category(c) == "Zs":
        plain = " "
    elif " " in plain or not plain:  # an accent that stands alone
        plain = c
    elif latin:
        plain = latin[1].lower()
    elif plain == c:
        plain = "".join(x for x in unicodedata.normalize("NFKD", c.casefold()) if not is_mark(x))
    is_short = len(plain) == 1 or (plain.isascii() and len(plain) <= 4)
    room = 2 * len(c.encode())  # of a key; "m" and "w" take two
    need = len(plain.encode()) + plain.lower().count("m") + plain.lower().count("w")
    return plain if plain != c and is_short and need <= room else ""


def ranges_of(test):
    found = []
    for c in CHARACTERS:
        if not test(c):
            continue
        gap = range(found[-1][1] + 1, ord(c)) if found else range(1 << 20)
        if len(gap) <= GAP and not any(chr(x) in ASSIGNED for x in gap):
            found[-1][1] = ord(c)
        else:
            found.append([ord(c), ord(c)])
    return found


def table(head, rows, per_line):
    lines = [" ".join(rows[i:i + per_line]) for i in range(0, len(rows), per_line)]
    return head + " = {\n    " + "\n    ".join(lines) + "\n};\n"


GAP = 64  # so many that are not assigned between two may become marks, too
CHARACTERS = [chr(c) for c in range(0x80, 0x110000)
              if unicodedata.category(chr(c)) not in ("Cn", "Co", "Cs") or any(a <= c <= b for a, b in UNSEEN)]
ASSIGNED = {c for c in CHARACTERS if unicodedata.category(c) != "Cn"}
with open(sys.argv[1], "w", encoding="ascii") as file:
    file.write('#include "base/alike_table.h"\n\n')
    for name, test in (("unseen", is_unseen), ("marks", lambda c: is_mark(c) and not is_unseen(c))):
        rows = [f"{{0x{first:04X}, 0x{last:04X}}}," for first, last in ranges_of(test)]
        file.write(table(f"const tl_alike_range tl_alike_{name}[]", rows, 6))
        file.write(f"const size_t tl_alike_{name}_n = {len(rows)};\n\n")
    folds = [(ord(c), fold(c)) for c in CHARACTERS if not is_mark(c) and not is_unseen(c) and fold(c)]
    rows = ["{{0x{:04X}, {{{}}}}},".format(c, ", ".join(str(b) for b in to.encode())) for c, to in folds]
    file.write(table("const tl_alike_fold tl_alike_folds[]", rows, 6))
    file.write(f"const size_t tl_alike_folds_n = {len(rows)};\n")
