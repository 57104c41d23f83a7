#!/usr/bin/env python3
"""embed.py OUT DEPFILE: writes the page's files as the C source that page.h declares.

Its own files are those below this folder. Three of other people come from Debian's packages at build time
(node-marked, node-dompurify, node-highlight.js); nothing is fetched when the page runs. In index.html the mark
<!-- preload --> becomes a link for each module that the first view needs, so that the browser asks for all of
them at once and not one after another."""
import gzip
import hashlib
import os
import pathlib
import posixpath
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
PACKAGES = pathlib.Path("/usr/share/nodejs")
TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8",
         ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml", ".json": "application/manifest+json"}
TOP = ("index.html", "icon.svg", "manifest.json")
FIRST = ("js/main.js", "js/views/chat.js")  # the page, and the view that opens first

# Languages that people talk about with models; each is a module of highlight.js.
LANGUAGES = """bash cmake cpp cs css diff dockerfile elixir erlang go haskell http ini java javascript json kotlin
lua makefile markdown nginx nix objectivec ocaml perl php plaintext powershell protobuf python r ruby rust scala
scheme shell sql swift typescript x86asm xml yaml""".split()


def package_file(package, *paths):
    """The first of these files that there is: some have another name on another Debian."""
    for path in paths:
        found = PACKAGES / path
        if found.is_file():
            return found
    sys.exit(f"embed.py: {PACKAGES / paths[0]} is missing: apt-get install {package}")


def highlighter():
    """highlight.js is written for Node; this makes one module for browsers of it and the languages above."""
    top = PACKAGES / "highlight.js"
    core = package_file("node-highlight.js", "highlight.js/lib/highlight.js")
    sources = [core] + [top / "lib/languages" / f"{name}.js" for name in LANGUAGES]
    parts = ["/* highlight.js 9, (c) 2006 Ivan Sagalaev and others, BSD 3-Clause */",
             "const load = (make) => { const module = { exports: {} }; make(module, module.exports);"
             " return module.exports; };",
             f"const hljs = load((module, exports) => {{{core.read_text()}\n}});"]
    for name, source in zip(LANGUAGES, sources[1:]):
        parts.append(f'hljs.registerLanguage("{name}", load((module) => {{{source.read_text()}\n}}));')
    return "\n".join(parts + ["export default hljs;", ""]).encode(), sources


def imports_of(modules, first):
    """The paths of the modules that `first` imports, directly or not, in the order in which they are met."""
    seen, todo = [], list(first)
    while todo:
        path = todo.pop(0)
        if path in seen:
            continue
        seen.append(path)
        for other in re.findall(r'^(?:import|export)\b[^;]*?from "(\.[^"]+)";', modules[path].decode(), re.M):
            todo.append(posixpath.normpath(posixpath.join(posixpath.dirname(path), other)))
    return seen


def collect():
    """{path: bytes}, and all files and folders that it was made of."""
    own = [HERE / name for name in TOP] + sorted(p for top in ("css", "js") for p in (HERE / top).rglob("*.*"))
    files = {p.relative_to(HERE).as_posix(): p.read_bytes() for p in own}
    made_of = own + [pathlib.Path(d) for top in ("css", "js") for d, _, _ in os.walk(HERE / top)]
    marked = package_file("node-marked", "marked/lib/marked.esm.js")
    purify = package_file("node-dompurify", "dompurify/dist/purify.es.mjs", "dompurify/dist/purify.es.js")
    files["vendor/marked.js"] = marked.read_bytes()
    files["vendor/purify.js"] = purify.read_bytes()
    files["vendor/highlight.js"], sources = highlighter()
    links = "\n".join(f'<link rel="modulepreload" href="/{path}">' for path in imports_of(files, FIRST))
    files["index.html"] = files["index.html"].replace(b"<!-- preload -->", links.encode())
    return files, made_of + [marked, purify, pathlib.Path(__file__).resolve()] + sources


def c_bytes(name, data):
    """A string is compiled many times faster than a list of numbers."""
    lines = [f"static const unsigned char {name}[] ="]
    for at in range(0, len(data), 32):
        lines.append('    "' + "".join(f"\\{b:03o}" for b in data[at:at + 32]) + '"')
    return lines + [";"]


def main(out, depfile):
    files, made_of = collect()
    lines = ['#include "api/page.h"', "", '#pragma GCC diagnostic ignored "-Woverlength-strings"', ""]
    rows = []
    for i, (path, data) in enumerate(sorted(files.items())):
        packed = gzip.compress(data, 9, mtime=0)
        etag = hashlib.sha256(data).hexdigest()[:24]
        lines += c_bytes(f"file_{i}", packed)
        url = "/" if path == "index.html" else "/" + path
        kind = TYPES[pathlib.PurePosixPath(path).suffix]
        rows.append(f'    {{"{url}", "{kind}", "W/\\"{etag}\\"", file_{i}, {len(packed)}, {len(data)}}},')
    lines += ["", "const tl_page_file tl_page_files[] = {", *rows, "    {0, 0, 0, 0, 0, 0},", "};", ""]
    pathlib.Path(out).write_text("\n".join(lines))
    pathlib.Path(depfile).write_text(f"{out}: " + " ".join(str(p) for p in made_of) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
