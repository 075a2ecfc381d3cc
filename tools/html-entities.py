#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Write core/text/html_entities.c, the named character references of HTML5, from Python's own table.

    tools/html-entities.py > core/text/html_entities.c
"""
from html.entities import html5

rows = []
for name in sorted(n[:-1] for n in html5 if n.endswith(";")):
    value = [ord(c) for c in html5[name + ";"]]
    assert name.isascii() and name.isalnum() and len(value) <= 2 and html5.get(name, html5[name + ";"]) == html5[name + ";"]
    rows.append('{ "%s", { 0x%x, 0x%x }, %d },' % (name, value[0], value[1] if len(value) > 1 else 0, name in html5))
assert all(n.endswith(";") or n + ";" in html5 for n in html5)

print("/* SPDX-License-Identifier: LGPL-2.1-or-later */")
print("/* Made by tools/html-entities.py: the named character references of HTML5, sorted by name. */")
print('#include "text/clean.h"\n')
print("const struct sr_html_entity sr_html_entities[] = {")
line = "   "
for r in rows:
    if len(line) + 1 + len(r) > 120:
        print(line)
        line = "   "
    line += " " + r
print(line)
print("};")
print("const size_t sr_html_entities_count = SR_COUNT(sr_html_entities);")
