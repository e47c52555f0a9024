"""Names that would do harm if they were taken as they are."""

from __future__ import annotations

HOSTILE = (
    '=HYPERLINK("http://evil","x")',
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-2+3+cmd|' /C calc'!A0",
    "@SUM(1+1)",
    "\t=1+1",
    "\r=1+1",
    "\n=1",
    "'=1+1",
    "''-x()",
    "\uff1d1+1",
    "<script>alert(1)</script>",
    'quo"te',
    "two\nlines",
    "two\rlines",
    "--option",
    "$(rm -rf /)",
    "\x1b]0;title\x07\x1b[2J",
    "\x9b2J",
    "back\x08space",
    "abc\u202egnp.exe",
    "comma, semicolon; tab\t",
    "nul\0",
)
