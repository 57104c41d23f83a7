#!/usr/bin/env python3
"""embed.py OUT FILE...: writes the dashboard's files as the C source that dashboard.h declares."""
import pathlib
import sys

TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8",
         ".css": "text/css; charset=utf-8"}

out, *names = sys.argv[1:]
lines = ['#include "api/dashboard.h"', ""]
rows = []
for i, name in enumerate(names):
    path = pathlib.Path(name)
    data = path.read_bytes()
    lines.append(f"static const unsigned char file_{i}[] = {{")
    for at in range(0, len(data), 20):
        lines.append("    " + " ".join(f"{b}," for b in data[at:at + 20]))
    lines.append("};")
    url = "/" if path.name == "dashboard.html" else "/" + path.name
    rows.append(f'    {{"{url}", "{TYPES[path.suffix]}", file_{i}, sizeof file_{i}}},')
lines += ["", "const tl_dashboard_file tl_dashboard_files[] = {", *rows, "    {0, 0, 0, 0},", "};", ""]
pathlib.Path(out).write_text("\n".join(lines))
