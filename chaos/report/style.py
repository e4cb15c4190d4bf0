"""The look of the page.

Law: colours are Okabe and Ito's ("Color Universal Design", 2008), which people with any of the
usual colour visions tell apart; each stands beside a sign, a place or a form. The page follows the
reader's light or dark, and on paper it is light, whole and unfolded.
"""

from typing import Final

_LIGHT: Final = """--ink: #1b1f27; --soft: #5a6472; --line: #dfe3ea; --paper: #fff;
  --card: #f5f7fa; --good: #00795a; --goodfill: #009e73; --bad: #b3430a; --badfill: #d55e00;
  --blue: #0072b2; --gold: #e69f00; --sky: #56b4e9; --rose: #a8447c; --band: #e69f00;
  --goodwash: #e3f4ee; --badwash: #fbe6d9;"""
_DARK: Final = """--ink: #e7eaf0; --soft: #a3adbb; --line: #333c49; --paper: #14181f;
  --card: #1c222c; --good: #3fcfa4; --goodfill: #2bb88c; --bad: #ff9154; --badfill: #ec7423;
  --blue: #6cb8ee; --gold: #f0b93a; --sky: #56b4e9; --rose: #e29ac4; --band: #e69f00;
  --goodwash: #16332b; --badwash: #43230f;"""

STYLE: Final = f"""
:root {{ color-scheme: light dark; {_LIGHT} }}
@media screen and (prefers-color-scheme: dark) {{ :root {{ {_DARK} }} }}
* {{ box-sizing: border-box; }}
body {{ font: 15px/1.55 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 1100px; margin: 0 auto; padding: 1.5rem 1.25rem 4rem; }}
h1 {{ font-size: 1.6rem; line-height: 1.25; margin: 0.4rem 0; }}
h2 {{ font-size: 1.2rem; margin: 2.6rem 0 0.3rem; padding-top: 0.6rem;
  border-top: 1px solid var(--line); }}
h3 {{ font-size: 1rem; margin: 1.4rem 0 0.3rem; }}
p {{ max-width: 76ch; margin: 0.4rem 0; }}
nav {{ font-size: 0.9rem; }} nav a {{ margin-right: 1rem; white-space: nowrap; }}
a {{ color: var(--blue); }}
.soft, caption, figcaption {{ color: var(--soft); }}
.state {{ display: inline-block; padding: 0.1rem 0.7rem; border-radius: 1rem; font-weight: 650; }}
.state.good {{ background: var(--goodwash); color: var(--good); }}
.state.poor {{ background: var(--badwash); color: var(--bad); }}
.tiles {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(9.6rem, 1fr));
  gap: 0.6rem; margin: 1rem 0; padding: 0; list-style: none; }}
.tiles li {{ background: var(--card); border-radius: 0.5rem; padding: 0.6rem 0.8rem; }}
.tiles b {{ display: block; font-size: 1.3rem; font-variant-numeric: tabular-nums; }}
.tiles .loud b {{ color: var(--bad); }}
.wide {{ overflow-x: auto; margin: 0.6rem 0; }}
table {{ border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }}
table.figures, table.matrix {{ font-size: 0.84rem; }}
.figures th, .figures td {{ padding: 0.2rem 0.4rem; }} .figures tbody th {{ min-width: 14rem; }}
.figures thead th {{ white-space: nowrap; }}
caption {{ text-align: left; font-size: 0.88rem; padding-bottom: 0.3rem; }}
th, td {{ text-align: left; vertical-align: top; padding: 0.22rem 0.5rem;
  border-bottom: 1px solid var(--line); }}
th {{ font-weight: 600; }} tbody th {{ font-weight: 500; }}
td.n, .figures thead th:not(:first-child) {{ text-align: right; }} td.n {{ white-space: nowrap; }}
.figures:not(.plain) tbody tr:last-child > * {{ font-weight: 650; }}
.loud, td.broken {{ color: var(--bad); font-weight: 650; }}
.matrix td, .matrix thead th:not(:first-child) {{ text-align: center; white-space: nowrap; }}
td.held {{ background: var(--goodwash); color: var(--good); }}
td.broken {{ background: var(--badwash); }} td.none {{ color: var(--soft); }}
.words td {{ overflow-wrap: anywhere; }} .words td.n {{ white-space: nowrap; text-align: left; }}
.words tbody th {{ min-width: 8rem; overflow-wrap: anywhere; }}
.words td:last-child {{ min-width: 14rem; }}
.facts th {{ width: 12rem; }} .facts td {{ overflow-wrap: anywhere; }}
code {{ font: 0.86em ui-monospace, monospace; overflow-wrap: anywhere; }}
figure {{ margin: 0.8rem 0; }} figcaption {{ font-size: 0.88rem; max-width: 84ch; }}
.drawn {{ overflow-x: auto; }}
svg {{ display: block; width: 100%; min-width: 640px; height: auto; }}
svg text {{ font-size: 11px; fill: var(--soft); font-family: system-ui, sans-serif; }}
svg .head {{ fill: var(--ink); font-weight: 600; }}
details {{ margin: 0.4rem 0; }}
summary {{ cursor: pointer; padding: 0.15rem 0; }}
.grid {{ stroke: var(--line); fill: none; }}
.line {{ fill: none; stroke: var(--blue); stroke-width: 1.5; stroke-linejoin: round;
  stroke-linecap: round; }}
.line.p99 {{ stroke: var(--rose); stroke-dasharray: 4 3; }} .line.lag {{ stroke: var(--good); }}
.lone {{ stroke-width: 3; stroke-dasharray: none; }}
.level {{ stroke: var(--goodfill); stroke-width: 2; }}
.key.equal {{ width: 2px; background: var(--goodfill); height: 1em; }}
.band {{ fill: var(--band); fill-opacity: 0.16; }} .bandmark {{ fill: var(--gold); }}
.share1 {{ fill-opacity: 0.05; }} .share2 {{ fill-opacity: 0.09; }}
.share3 {{ fill-opacity: 0.13; }} .share4 {{ fill-opacity: 0.18; }}
.agree {{ fill: var(--sky); fill-opacity: 0.55; }} .differ {{ fill: var(--badfill); }}
.down {{ fill: none; stroke: var(--soft); stroke-width: 1; stroke-dasharray: 2 2; }}
.whisker {{ stroke: var(--soft); fill: none; }} .middle {{ stroke: var(--ink); stroke-width: 2; }}
.ninety {{ stroke: var(--blue); stroke-width: 2; }}
.box {{ fill: var(--sky); fill-opacity: 0.45; }}
.dots {{ stroke: var(--blue); stroke-width: 5; stroke-linecap: round; stroke-opacity: 0.5; }}
.bar {{ fill: var(--blue); fill-opacity: 0.75; }}
.limit {{ stroke: var(--badfill); stroke-dasharray: 5 3; fill: none; stroke-width: 1.5; }}
.v-pass {{ fill: var(--goodfill); }} .v-fail {{ fill: var(--badfill); }}
.v-void {{ fill: var(--gold); fill-opacity: 0.8; }}
.v-aborted {{ fill: none; stroke: var(--soft); stroke-dasharray: 2 2; }}
.key {{ display: inline-block; width: 1.1em; height: 0.75em; margin: 0 0.3em 0 0.8em;
  vertical-align: -0.05em; }}
.key.pass {{ background: var(--goodfill); }} .key.fail {{ background: var(--badfill); }}
.key.void {{ background: var(--gold); }} .key.aborted {{ outline: 1px dashed var(--soft); }}
.key.agrees {{ background: var(--sky); opacity: 0.6; }}
.key.differs {{ background: linear-gradient(transparent 45%, var(--badfill) 45%); }}
.key.isdown {{ outline: 1px dashed var(--soft); }}
.key.fault {{ background: var(--band); opacity: 0.3; }}
@media print {{
  body {{ max-width: none; padding: 0; font-size: 10pt; }} nav {{ display: none; }}
  figure, tr, .tiles li {{ break-inside: avoid; }} h2, h3, summary {{ break-after: avoid; }}
  .wide, .drawn {{ overflow: visible; }} svg {{ min-width: 0; }}
  details::details-content {{ content-visibility: visible; block-size: auto; }}
  * {{ print-color-adjust: exact; -webkit-print-color-adjust: exact; }}
}}
"""
