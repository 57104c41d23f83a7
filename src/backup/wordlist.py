#!/usr/bin/env python3
"""wordlist.py OUTPUT LIST: the 2048 English words of BIP 39 as a C table, from the file that Debian's
python3-mnemonic has. Refuses any other file: with another list the same paper would mean other keys."""
import hashlib
import sys

SHA256 = "2f5eed53a4727b4bf8880d8f3f199efc90e58503646d9ff8eff3a2ed3b24dbda"
output, source = sys.argv[1:]
with open(source, "rb") as file:
    data = file.read()
if hashlib.sha256(data).hexdigest() != SHA256:
    sys.exit(f"{source} is not the English word list of BIP 39 (its SHA-256 differs from {SHA256})")
words = data.decode("ascii").split()
rows = [" ".join(f'"{word}",' for word in words[i:i + 8]) for i in range(0, len(words), 8)]
with open(output, "w", encoding="ascii") as file:
    file.write('#include "backup/phrase.h"\n\nconst char *const tl_phrase_words[TL_PHRASE_LIST] = {\n    ')
    file.write("\n    ".join(rows) + "\n};\n")
