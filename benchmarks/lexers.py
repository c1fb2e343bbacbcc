"""Which lexers can be held up by text made for it: python -m benchmarks.lexers [language ...]

Highlighting stops between two tokens when its time is over, so only a long wait for a single
token hurts. Prints every language with one, at a tenth of the size that highlighting takes.
"""

import signal
import sys
import time

from pygments.lexers import find_lexer_class_by_name

from chat.markdown.highlighting import LINE_LIMIT, SIZE_LIMIT, TIME_LIMIT, TRIED

SIZE = SIZE_LIMIT // 10
LONG = 0.02  # seconds for one token; a hundred times that at full size if the cost is quadratic
PIECES = r"""
( { [ < " ' \ ` a /* <!-- $( ${ # - = 0 1e a. :: // {{ {% @ ((a "\ | % _ --[[ =begin R"( <% a<
[a]( **a `a & u' ''' (* $a %{ ~~ a( a[b ? ! ^ :a a: ] 0x 1_ 1. a, éa #if * a=" - > <<A [a] \( \"
"""
SPACED = ["a b ", "<a ", " ", "\t", "a: b", "    x", 'key = "', '"""', ""]


def texts():
    """Each piece over and over, in long lines and with a line of its own."""
    for piece in PIECES.split() + SPACED:
        repeated = ((piece or "\n") * SIZE)[:SIZE]
        yield "\n".join(repeated[at : at + LINE_LIMIT] for at in range(0, SIZE, LINE_LIMIT))
        yield (piece + "\n") * (SIZE // (len(piece) + 1))


def longest_wait(language, text):
    """Seconds of CPU that the slowest token took."""
    lexer = find_lexer_class_by_name(language)(stripnl=False, ensurenl=False)
    began = before = time.thread_time()
    longest = 0.0
    for _ in lexer.get_tokens(text):
        now = time.thread_time()
        longest, before = max(longest, now - before), now
        if now - began > TIME_LIMIT:
            break
    return max(longest, time.thread_time() - before)


def give_up(*_):
    """A lexer hangs inside one match, which nothing but a signal interrupts."""
    raise InterruptedError


signal.signal(signal.SIGALRM, give_up)
for language in sys.argv[1:] or sorted(TRIED):
    worst, slowest = 0.0, ""
    for text in texts():
        signal.alarm(5)
        try:
            wait = longest_wait(language, text)
        except InterruptedError:
            wait = 5.0
        signal.alarm(0)
        if wait > worst:
            worst, slowest = wait, text[:12]
    if worst > LONG:
        print(f"{language}: {worst:.2f} s with {slowest!r}", flush=True)
print("done")
