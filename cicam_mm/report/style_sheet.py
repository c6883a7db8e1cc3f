"""How the report looks: on a screen, on a phone and printed."""

STYLE_SHEET = """\
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; color: #222; background: #fff;
       max-width: 62rem; margin: 0 auto; padding: 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: .5rem 0; }
h2 { font-size: 1.25rem; margin: 2.2rem 0 .6rem; border-bottom: 1px solid #ccc; }
h3 { font-size: 1.05rem; margin: 1.4rem 0 .4rem; }
p { margin: .5rem 0; max-width: 46rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; overflow-wrap: normal; }
th, td { padding: .3rem .7rem .3rem 0; text-align: right; vertical-align: top;
         border-bottom: 1px solid #e4e4e4; }
th:first-child { text-align: left; }
td.text, th.text { text-align: left; min-width: 9rem; font-size: .875rem; }
.note { background: #fff4d6; border-left: 4px solid #e69f00; padding: .5rem .8rem; }
.grid { display: flex; flex-wrap: wrap; gap: .8rem; }
.grid figure { flex: 1 1 18rem; max-width: 30rem; }
figure { margin: 0; break-inside: avoid; }
img { max-width: 100%; height: auto; display: block; margin: 0 auto; }
pre { font-size: .75rem; line-height: 1.35; white-space: pre-wrap; background: #f6f6f6;
      padding: .8rem; }
summary { cursor: pointer; font-weight: 600; padding: .4rem 0; }
footer { margin-top: 2.5rem; color: #666; font-size: .85rem; }
@media print {
  body { max-width: none; padding: 0; font-size: 11pt; }
  .wide { overflow: visible; }
  .grid figure { flex-basis: 30%; }
  h2, h3 { break-after: avoid; }
  tr { break-inside: avoid; }
  details::details-content { content-visibility: visible; height: auto; }
}
"""
