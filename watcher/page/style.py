"""The one style block of the page, and the policy that lets in nothing else."""

import base64
import hashlib

STYLE = """
:root{color-scheme:light dark;--ground:#faf9f7;--card:#fff;--ink:#1d1f23;--quiet:#5d626b;--line:#e4e1db;--link:#0a58ca;
--bad:#a3241b;--bad-ground:#fbe9e7;--good:#17653a;--good-ground:#e3f3e8;--wait:#7a5200;--wait-ground:#fbf0d9;
--open:#565b64;--open-ground:#ededeb}
@media (prefers-color-scheme:dark){:root{--ground:#121316;--card:#1a1c20;--ink:#e9e7e3;--quiet:#a0a5ae;--line:#2d3036;
--link:#8ab4f8;--bad:#ffb3a9;--bad-ground:#43201c;--good:#86dba7;--good-ground:#17362a;--wait:#f1ca7c;
--wait-ground:#3a2e12;--open:#b9bec7;--open-ground:#2a2d33}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--ground);color:var(--ink);font:1rem/1.55 system-ui,-apple-system,"Segoe UI",Roboto,
"Noto Sans","Liberation Sans",sans-serif;overflow-wrap:anywhere}
main,header,footer{max-width:60rem;margin:0 auto;padding:0 1.25rem}
header{display:flex;flex-wrap:wrap;justify-content:space-between;gap:.25rem 1.5rem;padding-top:1.5rem;
color:var(--quiet);font-size:.875rem}
header b{color:var(--ink)}
footer{margin-top:3.5rem;padding-bottom:3rem;color:var(--quiet);font-size:.875rem}
a{color:var(--link);text-underline-offset:.15em}
a:not(:hover){text-decoration-thickness:.06em}
h1{margin:2rem 0 1.5rem;font-size:clamp(1.375rem,1.15rem + 1.1vw,1.8125rem);line-height:1.3;font-weight:650;
letter-spacing:-.011em;text-wrap:balance}
h2{margin:3.5rem 0 .75rem;font-size:1.25rem;line-height:1.3;font-weight:650;letter-spacing:-.005em}
h3{margin:0;font-size:1rem;font-weight:600}
p{margin:.5rem 0}
code,.evidence{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono",monospace;font-size:.875em}
code{padding:.1em .3em;border-radius:.25rem;background:var(--open-ground)}
time{white-space:nowrap}
.note,.under{color:var(--quiet);font-size:.875rem}
.under{display:block}
.owed{margin:1.5rem 0 0;padding:1rem 1.25rem;border:2px solid var(--bad);border-radius:.75rem;
background:var(--bad-ground);color:var(--bad)}
.owed h2{margin:0 0 .25rem}
.owed ul{margin:.25rem 0;padding-left:1.25rem}
.owed code{background:transparent;font-weight:600}
.answers{display:grid;grid-template-columns:1fr 1fr;gap:1rem}
.card{padding:1.125rem 1.25rem;border:1px solid var(--line);border-radius:.75rem;background:var(--card)}
.card h2{margin:0;color:var(--quiet);font-size:.875rem;font-weight:500;letter-spacing:0}
.card .big{display:flex;flex-wrap:wrap;align-items:center;gap:.25rem .625rem;margin:.25rem 0 0;font-size:1.75rem;
line-height:1.3;font-weight:650}
.big .sign{display:inline-grid;place-items:center;width:1.3em;height:1.3em;border-radius:50%;font-size:.72em}
.big.present,.big.fails{color:var(--bad)}.big.fixed,.big.works{color:var(--good)}.big.unknown,.big.untried{color:var(--open)}
.big.present .sign,.big.fails .sign{background:var(--bad-ground)}
.big.fixed .sign,.big.works .sign{background:var(--good-ground)}
.big.unknown .sign,.big.untried .sign{background:var(--open-ground)}
.waits{margin:.875rem 0 0;padding:.75rem 0 0;border-top:1px solid var(--line);list-style:none;font-size:.9375rem}
.waits li+li{margin-top:.5rem}
.next{margin:1rem 0 0;padding:1rem 1.25rem;border-left:4px solid var(--link);border-radius:.25rem .75rem .75rem .25rem;
background:var(--card);font-size:1.0625rem}
.next b{display:block;color:var(--quiet);font-size:.875rem;font-weight:500}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.375rem 1.25rem;margin:1.5rem 0 0}
dt{color:var(--quiet)}dd{margin:0}
.chip{display:inline-flex;align-items:center;gap:.35em;padding:.05rem .55rem;border-radius:1rem;font-size:.8125rem;
font-weight:550;background:var(--open-ground);color:var(--open)}
.chip.present,.chip.fails,.chip.failing,.chip.down{background:var(--bad-ground);color:var(--bad)}
.chip.fixed,.chip.works,.chip.ok,.chip.first{background:var(--good-ground);color:var(--good)}
.chip.stale,.chip.running,.chip.bench,.chip.refused{background:var(--wait-ground);color:var(--wait)}
table{width:100%;border-collapse:collapse;font-size:.9375rem}
caption{padding:1rem 0 .25rem;text-align:left;font-weight:600}
th{padding:.375rem .75rem .375rem 0;border-bottom:1px solid var(--line);text-align:left;color:var(--quiet);
font-size:.8125rem;font-weight:500}
td{padding:.625rem .75rem .625rem 0;border-bottom:1px solid var(--line);vertical-align:top}
th:last-child,td:last-child{padding-right:0}
.builds,.sources{table-layout:fixed}.builds th:last-child{width:30%}.sources th:last-child{width:42%}
.moments th:first-child{width:7.5rem}
.under code{padding:0;background:none}
details{margin:.5rem 0}
summary{padding:.25rem 0;color:var(--link);font-size:.9375rem;cursor:pointer}
.trial{margin:1rem 0;padding:1.125rem 1.25rem;border:1px solid var(--line);border-radius:.75rem;background:var(--card)}
.trial:target{outline:2px solid var(--link)}
.trial .head{display:flex;flex-wrap:wrap;justify-content:space-between;gap:.125rem 1rem}
.trial .head .when{color:var(--quiet);font-size:.875rem}
.chips{display:flex;flex-wrap:wrap;gap:.375rem;margin:.5rem 0}
.evidence{margin:.375rem 0;padding:0;list-style:none}
.evidence>li{padding:.5rem 0 .5rem .875rem;border-left:2px solid var(--line);line-height:1.45}
.evidence .around{padding-left:0;border:0}
.evidence .note,.evidence .under{font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",
"Liberation Sans",sans-serif}
.log{margin:.25rem 0 .75rem;padding:.5rem 0;border-radius:.375rem;background:var(--ground);list-style:none;
font:.8125rem/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono",monospace}
.log li{display:grid;grid-template-columns:3.5rem 1fr;gap:.75rem;padding:.0625rem .75rem .0625rem 0;color:var(--quiet);
border-left:3px solid transparent}
.log li.decides{border-left-color:var(--link);color:var(--ink);font-weight:600}
.log .number{text-align:right;color:var(--quiet);font-weight:400}
.course{margin:.75rem 0 .5rem}
.course svg{display:block;width:100%;border-radius:5px;overflow:hidden}
.course rect{fill:var(--line);stroke:var(--card);stroke-width:1px}
.course rect.away{fill:var(--link)}
.course ol{display:flex;flex-wrap:wrap;gap:0 1rem;margin:.375rem 0 0;padding:0;list-style:none;color:var(--quiet);
font-size:.8125rem}
.course li.away{color:var(--ink)}
.course .key .sign{color:var(--link)}
.course b{font-weight:550}
.starts{margin:.5rem 0 0;padding:0;list-style:none;color:var(--quiet);font-size:.875rem}
.picture{padding:1.125rem 1.25rem .5rem;border:1px solid var(--line);border-radius:.75rem;background:var(--card)}
.year{display:block;width:100%;overflow:visible}
.lane{width:100%;overflow:visible}
.year text{fill:var(--quiet);font-size:11.5px}
.year .name{fill:var(--ink);font-size:12px;paint-order:stroke;stroke:var(--card);stroke-width:4px;stroke-linejoin:round}
.tick{stroke:var(--line);stroke-dasharray:1 3}
.track{stroke:var(--line)}
.dot circle{stroke:var(--card);stroke-width:1.5px;fill:var(--link)}
.dot.change circle{fill:var(--card);stroke:var(--link);stroke-width:2px}
.dot.before circle{fill:var(--quiet)}
.year .bar .word{font-weight:600}
.bar.present rect,.bar.fails rect{fill:var(--bad-ground);stroke:var(--bad)}
.year .bar.present .word,.year .bar.fails .word{fill:var(--bad)}
.bar.fixed rect,.bar.works rect{fill:var(--good-ground);stroke:var(--good)}
.year .bar.fixed .word,.year .bar.works .word{fill:var(--good)}
.bar.unknown rect,.bar.untried rect{fill:var(--open-ground);stroke:var(--open)}
.bar.waiting rect{fill:var(--wait-ground);stroke:var(--wait);stroke-dasharray:4 3}
.year .bar.waiting .word{fill:var(--wait);paint-order:stroke;stroke:var(--card);stroke-width:3px}
.legend{display:flex;flex-wrap:wrap;gap:.125rem 1.25rem;margin:.75rem 0 .25rem;color:var(--quiet);font-size:.8125rem}
.brief{display:none}
@media (max-width:40rem){.answers{grid-template-columns:1fr}dl{grid-template-columns:1fr;gap:0}dd{margin:0 0 .625rem}
.log li{grid-template-columns:2.5rem 1fr;gap:.5rem}
.minor,.long{display:none}.brief{display:inline}
.builds th:last-child{width:38%}h2{margin-top:2.75rem}main,header,footer{padding-left:1rem;padding-right:1rem}}
@media print{body{background:#fff}.card,.trial,.picture{break-inside:avoid}}
""".strip()

_DIGEST = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY = f"default-src 'none'; style-src 'sha256-{_DIGEST}'; base-uri 'none'; form-action 'none'"
"""No script, no picture, no font, no request: whatever slipped into the page could do nothing."""
