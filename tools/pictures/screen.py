"""A terminal's screen: reads what a program writes to a terminal, and draws what a person then sees as an SVG picture.
Knows what our programs use: carriage return, backspace, colours, bold and dim, erasing, and moves of the cursor."""
import fcntl
import html
import os
import pty
import re
import select
import signal
import struct
import termios
import time
import unicodedata

COLOURS = ["#2e3440", "#bf616a", "#3f9c5a", "#b58900", "#5e81ac", "#a3598f", "#3b8ea5", "#d8dee9"]
BACK, FORE, DIM = "#1d222b", "#d8dee9", "#8a94a6"
CELL_W, CELL_H, SIZE, MARGIN = 8.4, 18, 14, 16
SEQUENCE = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[()][A-Z0-9]|\x1b[=>78]")


def run(argv, columns, rows, seconds=None, enter=None, env=None, type_at=()):
    """What a program writes to a terminal of that size, until it ends or for so many seconds. `type_at`: pairs of a time
    and bytes that are typed then. `enter`: called in the child before it becomes the program."""
    pid, fd = pty.fork()
    if pid == 0:
        try:
            if enter:
                enter()
            os.execvpe(argv[0], argv, {**os.environ, "TERM": "xterm-256color", "LANG": "C.UTF-8", **(env or {})})
        finally:
            os._exit(127)
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    said, began, typed = b"", time.monotonic(), list(type_at)
    while seconds is None or time.monotonic() - began < seconds:
        while typed and time.monotonic() - began >= typed[0][0]:
            os.write(fd, typed.pop(0)[1])
        if not select.select([fd], [], [], 0.1)[0]:
            continue
        try:
            part = os.read(fd, 65536)
        except OSError:
            break
        if not part:
            break
        said += part
    else:
        os.kill(pid, signal.SIGINT)
    end = time.monotonic() + 5
    while os.waitpid(pid, os.WNOHANG)[0] == 0:
        if time.monotonic() > end:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
    os.close(fd)
    return said.decode("utf-8", "replace")


class Screen:
    """Every line that was written, none scrolled away. A cell is (character, style); a style (colour, bold, dim)."""

    def __init__(self, columns):
        self.columns, self.lines, self.row, self.column = columns, [[]], 0, 0
        self.style = (None, False, False)

    def feed(self, text):
        at = 0
        while at < len(text):
            m = SEQUENCE.match(text, at)
            if m:
                self._sequence(m[1] or "", m[2] or "")
                at = m.end()
                continue
            self._put(text[at])
            at += 1
        return self

    def _line(self):
        while len(self.lines) <= self.row:
            self.lines.append([])
        return self.lines[self.row]

    def _put(self, c):
        if c == "\n":
            self.row += 1
            self._line()
        elif c == "\r":
            self.column = 0
        elif c == "\b":
            self.column = max(0, self.column - 1)
        elif c == "\t":
            self.column = min(self.columns - 1, self.column // 8 * 8 + 8)
        elif c >= " ":
            width = 2 if unicodedata.east_asian_width(c) in "WF" else 1
            if self.column + width > self.columns:
                self.row, self.column = self.row + 1, 0
            line = self._line()
            while len(line) < self.column + width:
                line.append((" ", (None, False, False)))
            line[self.column] = (c, self.style)
            if width == 2:
                line[self.column + 1] = ("", self.style)
            self.column += width

    def _sequence(self, arguments, letter):
        numbers = [int(n) for n in arguments.split(";") if n.isdigit()]
        n = (numbers or [1])[0] or 1
        line = self._line()
        if letter == "m":
            self._colour(numbers or [0])
        elif letter == "K":
            what = (numbers or [0])[0]
            if what == 0:
                del line[self.column:]
            elif what == 2:
                del line[:]
        elif letter == "J":
            del line[self.column:]
            del self.lines[self.row + 1:]
        elif letter == "A":
            self.row = max(0, self.row - n)
        elif letter == "B":
            self.row += n
        elif letter == "C":
            self.column += n
        elif letter == "D":
            self.column = max(0, self.column - n)
        elif letter == "G":
            self.column = n - 1

    def _colour(self, numbers):
        colour, bold, dim = self.style
        for n in numbers:
            if n == 0:
                colour, bold, dim = None, False, False
            elif n == 1:
                bold = True
            elif n == 2:
                dim = True
            elif 30 <= n <= 37 or 90 <= n <= 97:
                colour = COLOURS[n % 10]
            elif n == 39:
                colour = None
        self.style = (colour, bold, dim)

    def text(self):
        return ["".join(c for c, _ in line).rstrip() for line in self.lines]

    def between(self, first, last):
        """Only the lines from the one that begins with `first` to the one before `last`."""
        texts = self.text()
        a = next(i for i, t in enumerate(texts) if t.startswith(first))
        b = next((i for i, t in enumerate(texts) if i > a and t.startswith(last)), len(texts))
        while b > a and not texts[b - 1]:
            b -= 1
        self.lines = self.lines[a:b]
        return self


def _runs(line):
    """Words of one style side by side, as (column, text, style). Two spaces part them: pictures show one for many."""
    start, words, style = 0, "", None
    for i, (c, s) in enumerate([*line, (" ", None)]):
        if words and (s != style or words.endswith("  ")):
            if words.strip():
                yield start + len(words) - len(words.lstrip()), words.strip(), style
            words = ""
        if not words:
            start, style = i, s
        words += c


def svg(screen, title):
    """The picture: a frame with a title, and each line where a terminal has it."""
    lines = screen.lines
    while lines and not "".join(c for c, _ in lines[-1]).strip():
        lines = lines[:-1]
    columns = max([len(line) for line in lines] + [40])
    width, height = round(columns * CELL_W + 2 * MARGIN), len(lines) * CELL_H + 2 * MARGIN + 24
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
           f'role="img" aria-label="{html.escape(title)}">',
           f'<rect width="100%" height="100%" rx="8" fill="{BACK}"/>',
           f'<g font-family="ui-monospace,SFMono-Regular,Menlo,DejaVu Sans Mono,monospace" font-size="{SIZE}" fill="{FORE}">',
           f'<text x="{MARGIN}" y="24" fill="{DIM}">{html.escape(title)}</text>']
    for row, line in enumerate(lines):
        y = MARGIN + 24 + row * CELL_H + SIZE
        for column, words, (colour, bold, dim) in _runs(line):
            style = f' fill="{colour or DIM}"' if colour or dim else ""
            style += ' font-weight="bold"' if bold else ""
            out.append(f'<text x="{round(MARGIN + column * CELL_W, 1)}" y="{y}" textLength="{round(len(words) * CELL_W, 1)}"'
                       f'{style}>{html.escape(words)}</text>')
    return "\n".join(out + ["</g>", "</svg>"]) + "\n"
