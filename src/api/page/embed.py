#!/usr/bin/env python3
"""embed.py OUT DEPFILE: writes the page's files as the C source that page.h declares.

Its own files are those below this folder. Three of other people come from Debian's packages at build time
(node-marked, node-dompurify, node-highlight.js); nothing is fetched when the page runs.

The first view comes in two files, for forty requests take a browser longer than all else together. index.html has the
styles and js/early.js in it, which the page's policy knows by their hashes; js/first.js holds the modules that
js/main.js needs, each as a function of its own. What is loaded later imports them by their own paths, where a line hands
out what js/first.js has: there is one of each."""
import base64
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
FIRST_STYLES = ("tokens", "base", "ui", "shell", "views/chat")
FIRST_MODULE = "js/main.js"
IMPORT = re.compile(r'^import (?:\{([^}]*)\} from )?"(\.[^"]+)";\n', re.M)
EXPORT = re.compile(r"^export (?=(?:async )?(?:function\*?|const|class) (\w+))", re.M)

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


def in_order(files, path, met):
    """The modules that `path` needs, and itself at the end: each after those that it imports."""
    if path in met:
        return []
    met.add(path)
    order = []
    for _, other in IMPORT.findall(files[path].decode()):
        order += in_order(files, posixpath.normpath(posixpath.join(posixpath.dirname(path), other)), met)
    return order + [path]


def as_function(path, source, names):
    """A module as a function that returns what it exports; and these names."""
    def imported(m):
        other = names[posixpath.normpath(posixpath.join(posixpath.dirname(path), m[2]))]
        return f"const {{{m[1].replace(' as ', ': ')}}} = {other};\n" if m[1] else ""
    exports = EXPORT.findall(source)
    body = EXPORT.sub("", IMPORT.sub(imported, source))
    left = re.search(r"^(?:import|export)\b(?! *\().*", body, re.M)
    if left:
        sys.exit(f"embed.py: {path}: this form of import or export is not known here: {left[0]}")
    return f"// {path}\nconst {names[path]} = (() => {{\n{body}\nreturn {{ {', '.join(exports)} }};\n}})();\n", exports


def bundle(files):
    """Adds js/first.js; the modules in it become lines that hand out what it has."""
    names = {path: f"$m{i}" for i, path in enumerate(in_order(files, FIRST_MODULE, set()))}
    parts = []
    for path, name in names.items():
        text, exports = as_function(path, files[path].decode(), names)
        parts.append(text)
        hands = f'import {{ {name} }} from "/js/first.js";\nexport const {{ {", ".join(exports)} }} = {name};\n'
        files[path] = (hands if exports else 'import "/js/first.js";\n').encode()
    parts.append(f"export {{ {', '.join(names.values())} }};\n")
    files["js/first.js"] = "\n".join(parts).encode()


def inlined(files):
    """Puts styles and the early script into index.html; returns what the page's policy calls each."""
    style = b"".join(files[f"css/{name}.css"] for name in FIRST_STYLES)
    script = files.pop("js/early.js")
    page = files["index.html"]
    for mark, tag, text in ((b'<link rel="stylesheet" href="first.css" data-views="chat">', b'style data-views="chat"', style),
                            (b'<script src="early.js"></script>', b"script", script)):
        if mark not in page or b"</" in text:
            sys.exit(f"embed.py: {tag.decode()} cannot be put into index.html")
        page = page.replace(mark, b"<" + tag + b">" + text + b"</" + tag.split()[0] + b">")
    files["index.html"] = page
    return [base64.b64encode(hashlib.sha256(text).digest()).decode() for text in (style, script)]


def collect():
    """{path: bytes}, the hashes of what is inline, and all files and folders that it was made of."""
    own = [HERE / name for name in TOP] + sorted(p for top in ("css", "js") for p in (HERE / top).rglob("*.*"))
    files = {p.relative_to(HERE).as_posix(): p.read_bytes() for p in own}
    made_of = own + [pathlib.Path(d) for top in ("css", "js") for d, _, _ in os.walk(HERE / top)]
    marked = package_file("node-marked", "marked/lib/marked.esm.js")
    purify = package_file("node-dompurify", "dompurify/dist/purify.es.mjs", "dompurify/dist/purify.es.js")
    files["vendor/marked.js"] = marked.read_bytes()
    files["vendor/purify.js"] = purify.read_bytes()
    files["vendor/highlight.js"], sources = highlighter()
    bundle(files)
    return files, inlined(files), made_of + [marked, purify, pathlib.Path(__file__).resolve()] + sources


def c_bytes(name, data):
    """A string is compiled many times faster than a list of numbers."""
    lines = [f"static const unsigned char {name}[] ="]
    for at in range(0, len(data), 32):
        lines.append('    "' + "".join(f"\\{b:03o}" for b in data[at:at + 32]) + '"')
    return lines + [";"]


def main(out, depfile):
    files, (style, script), made_of = collect()
    lines = ['#include "api/page.h"', "", '#pragma GCC diagnostic ignored "-Woverlength-strings"', ""]
    rows = []
    for i, (path, data) in enumerate(sorted(files.items())):
        packed = gzip.compress(data, 9, mtime=0)
        etag = hashlib.sha256(data).hexdigest()[:24]
        lines += c_bytes(f"file_{i}", packed)
        url = "/" if path == "index.html" else "/" + path
        kind = TYPES[pathlib.PurePosixPath(path).suffix]
        rows.append(f'    {{"{url}", "{kind}", "W/\\"{etag}\\"", file_{i}, {len(packed)}, {len(data)}}},')
    lines += ["", "const tl_page_file tl_page_files[] = {", *rows, "    {0, 0, 0, 0, 0, 0},", "};", "",
              f'const char tl_page_style[] = "sha256-{style}";', f'const char tl_page_script[] = "sha256-{script}";', ""]
    pathlib.Path(out).write_text("\n".join(lines))
    pathlib.Path(depfile).write_text(f"{out}: " + " ".join(str(p) for p in made_of) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
