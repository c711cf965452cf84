"""Cells that try to run a script, or to have something fetched, in the page that shows them.

`js` is a script that leaves marks, `url` an address that must not be asked for.
"""

import base64
from collections.abc import Callable
from typing import Any

from tests.support.notebooks import code, shown, text

XMLNS = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'

Attack = Callable[[str, str], dict[str, Any]]


def base64_of(source: str) -> str:
    return base64.b64encode(source.encode()).decode()


def html(source: str, **metadata: Any) -> dict[str, Any]:
    return code("1", outputs=[shown({"text/html": source, "text/plain": "x"}, **metadata)])


def output(media: str, value: Any) -> dict[str, Any]:
    return code("1", outputs=[shown({media: value, "text/plain": "x"})])


def in_link(js: str) -> str:
    """The script as the target of a link in Markdown."""
    return "javascript:" + js.replace(" ", "%20")


def svg_of(js: str, url: str) -> str:
    return (
        f'<svg {XMLNS} onload="{js}"><script>{js}</script><image xlink:href="{url}" width="9" height="9"/>'
        f'<a xlink:href="javascript:{js}"><text y="9">x</text></a></svg>'
    )


def attachment(js: str, url: str) -> dict[str, Any]:
    attachments = {
        "a.svg": {"image/svg+xml": base64_of(svg_of(js, url))},
        "b.html": {"text/html": base64_of(f"<script>{js}</script>")},
        "c.png": {"image/png": f'aGk="><script>{js}</script>'},
    }
    source = "![a](attachment:a.svg) [b](attachment:b.html) ![c](attachment:c.png)"
    return text(source, attachments=attachments)


def handlers(js: str, url: str) -> dict[str, Any]:
    return html(
        f"<details open ontoggle='{js}'>x</details><input autofocus onfocus='{js}'><body onload='{js}'>"
        f"<video src={url} onerror='{js}'></video><svg onload='{js}'></svg><b onclick='{js}'>m</b>"
        f"<style>@keyframes x {{}}</style><b style='animation:x' onanimationstart='{js}'>b</b>"
    )


def fetches(_js: str, url: str) -> dict[str, Any]:
    tags = [
        f"<link rel=stylesheet href={url}>",
        f"<link rel=preload as=image href={url}>",
        f"<link rel=prefetch href={url}>",
        f"<style>@import '{url}'; body {{ background: url({url}) }}</style>",
        f"<b style='background: url({url})'>b</b>",
        f"<img srcset='{url} 1x'><picture><source srcset={url}><img></picture>",
        f"<object data={url}></object><embed src={url}>",
        f"<audio src={url} autoplay></audio><video poster={url}></video>",
        f"<table background={url}></table><input type=image src={url}>",
        f"<iframe src={url}></iframe>",
        f"<img src='{url.removeprefix('http:')}'><img src=relative.png>",
    ]
    return html("".join(tags))


def styles(_js: str, url: str) -> dict[str, Any]:
    values = [
        f"color:url({url})",
        f"border:1px solid;border-image:url({url})",
        f'background-color:image-set("{url}" 1x)',
        f"white-space:\\75rl({url})",
        f"--x:url({url});background:var(--x)",
        f"list-style:url({url});cursor:url({url}),auto",
    ]
    return html("".join(f"<b style='{value}'>b</b>" for value in values))


def broken_picture(js: str, _url: str) -> dict[str, Any]:
    size = {"width": f"1 onerror={js.replace(' ', '/**/')}", "height": 1}
    outputs = [
        shown({"image/png": f'aGk="><script>{js}</script>'}),
        shown({"image/png": "aGk="}, **{"image/png": size}),
        shown({"image/jpeg": "aGk="}, **{"image/jpeg": {"alt": f'"><script>{js}</script>'}}),
    ]
    return code("1", outputs=outputs)


def texts(js: str, url: str) -> dict[str, Any]:
    breaking = f"</pre><script>{js}</script>"
    outputs = [
        {"output_type": "stream", "name": "stdout", "text": f"{breaking}\x1b[31m<img src={url}>"},
        {"output_type": "error", "ename": "E", "evalue": "v", "traceback": [breaking]},
        shown({"text/plain": breaking}),
        shown({"text/latex": f"$</div><script>{js}</script>$"}),
    ]
    return code(f"'{breaking}'", outputs=outputs)


def mutation(js: str, url: str) -> dict[str, Any]:
    """What parsers understand in different ways: cleaned once, it means another thing when read again."""
    handler = f'<img src={url} onerror="{js}">'
    hidden = handler.replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    return html(
        f"<math><mtext><table><mglyph><style><!--</style><img title='--&gt;{hidden}'>"
        f"<noscript><p title='</noscript>{handler}'></p></noscript>"
        f"<svg></p><style><a id='</style>{handler}'></svg>"
        f"<form><math><mtext></form><form><mglyph><style></math>{handler}</style><svg><title><b>{handler}"
    )


def disguised_links(js: str, url: str) -> dict[str, Any]:
    return text(
        f"[a]( &#106;{in_link(js)[1:]} ) <a href='\x01java\tscript:{js}'>b</a> [e][f] <{url}> "
        f"<a href='data:text/html,<script>{js}</script>'>c</a> <a href='vbscript:x'>d</a> "
        f"<a href=# ping={url}>g</a>\n\n[f]: {in_link(js)}"
    )


CLASSICS: dict[str, Attack] = {
    "script": lambda js, url: text(f"hello <script>{js}</script><script src='{url}'></script>"),
    "onerror": lambda js, url: text(f'hello <img src=x onerror="{js}"> <img src={url}>'),
    "link": lambda js, url: text(f'[click]({in_link(js)}) <a href="javascript:{js}">click</a>'),
    "srcdoc": lambda js, url: text(f'hello <iframe srcdoc="<script>parent.{js}</script>"></iframe>'),
    "html output": lambda js, url: html(f"<b>x</b><script>{js}</script><img src='{url}' onload='{js}'>"),
    "markdown output": lambda js, url: output("text/markdown", f"x <script>{js}</script> ![y]({url})"),
    "javascript output": lambda js, url: output("application/javascript", js),
    "svg output": lambda js, url: output("image/svg+xml", svg_of(js, url)),
    "raw cell": lambda js, url: text(f"<script>{js}</script><img src={url}>", kind="raw"),
    "attachment": attachment,
}
RELATIVES: dict[str, Attack] = {
    "markdown cell": lambda js, url: text(
        f"# <b onclick='{js}'>x</b>\n![y]({url} 'z')\n\n<div onclick='{js}'>w</div>"
    ),
    "isolated output": lambda js, url: html(f"<script>{js}</script>", **{"text/html": {"isolated": True}}),
    "handlers": handlers,
    "fetches": fetches,
    "styles": styles,
    "refresh": lambda js, url: html(f"<meta http-equiv=refresh content='0;url={url}'><base href='{url}'>"),
    "form": lambda js, url: html(f"<form action={url}><input name=x><button autofocus>b</button></form>"),
    "broken picture": broken_picture,
    "texts": texts,
    "math": lambda js, url: text(
        f"$x<script>{js}</script>$ \\begin{{a}}<script>{js}</script>\\end{{a}} $$<b>$$"
    ),
    "tags": lambda js, url: code("1", tags=[f'"><script>{js}</script>']),
    "mutation": mutation,
    "disguised links": disguised_links,
    "widget": lambda js, url: output(
        "application/vnd.jupyter.widget-view+json", {"model_id": f"</script><script>{js}</script>"}
    ),
    "mermaid": lambda js, url: text(f"```mermaid\ngraph\n</pre><script>{js}</script>\n```"),
    "language": lambda js, url: code(f"%%html\n<script>{js}</script>"),
}
ATTACKS = CLASSICS | RELATIVES
