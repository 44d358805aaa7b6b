/**
 * How does the page look? One style sheet, in light and dark as the reader's system asks for, with colours that differ
 * in lightness too, so that they can be told apart without seeing hue (after Okabe and Ito). And the little script: a
 * line that follows the pointer through all pictures; the page reads without it. Source: ours.
 */
export const STYLE = `
:root { color-scheme: light dark; --page: #fff; --ink: #1b1f24; --soft: #5b636d; --rule: #e3e6ea; --panel: #f6f7f9;
  --up: #d6e6dd; --stopped: #23272e; --stopped-known: #a3a9b1; --asleep: #0067a5; --asleep-known: #97c1de;
  --paused: #9a4f83; --paused-known: #dcb6d0; --suspect: #e69f00; --dead: #d1410c;
  --a: #0067a5; --b: #d1410c; --c: #8a6d00; --mark: #1b1f24; --good: #00714f; --bad: #b3320a; }
@media (prefers-color-scheme: dark) { :root { --page: #14171b; --ink: #e6e8eb; --soft: #a0a8b2; --rule: #2b3038;
  --panel: #1c2026; --up: #24493c; --stopped: #f1f3f5; --stopped-known: #767d87; --asleep: #4fb0ee; --asleep-known: #2f5e80;
  --paused: #e08cc4; --paused-known: #754767; --suspect: #f0b020; --dead: #ff6a3d; --a: #5db4ec; --b: #ff7d52; --c: #d3b34a;
  --mark: #fff; --good: #4cc79c; --bad: #ff8a66; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1.25rem 4rem; max-width: 78rem; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: .2rem 0 .8rem; text-wrap: balance; }
h2 { font-size: 1.2rem; margin: 2.6rem 0 .4rem; padding-top: .8rem; border-top: 1px solid var(--rule); }
h3 { font-size: 1rem; margin: 1.6rem 0 0; }
p { margin: .3rem 0; max-width: 72ch; }
.note, .facts { color: var(--soft); font-size: .875rem; max-width: 110ch; }
.scenario { color: var(--soft); margin: 0; }
.answer { font-size: 1.06rem; padding: .8rem 1rem; background: var(--panel); border-radius: 6px;
  border-left: 5px solid var(--good); }
.answer.broken { border-left-color: var(--bad); }
.answer p { max-width: 96ch; }
.answer p:last-child { font-weight: 600; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: .6rem; margin: 1rem 0 0; padding: 0; }
.tiles div { background: var(--panel); border-radius: 6px; padding: .5rem .75rem; }
.tiles dt { color: var(--soft); font-size: .8rem; }
.tiles dd { margin: 0; font-size: 1.2rem; font-weight: 600; font-variant-numeric: tabular-nums; }
.tiles dd small { display: block; font-size: .8rem; font-weight: 400; color: var(--soft); }
.scroll { overflow-x: auto; }
.scroll:focus-visible, summary:focus-visible { outline: 2px solid var(--a); outline-offset: 2px; }
section svg { display: block; width: 100%; min-width: 46rem; height: auto; }
.legend { display: flex; flex-wrap: wrap; gap: .1rem 1.1rem; list-style: none; margin: .25rem 0 .35rem; padding: 0;
  font-size: .85rem; }
.legend svg.key { display: inline-block; width: 20px; min-width: 0; height: 12px; vertical-align: -1px; margin-right: .3rem;
  overflow: visible; }
.tick { fill: var(--soft); font-size: 11.5px; font-variant-numeric: tabular-nums; }
.grid { stroke: var(--rule); stroke-width: 1; }
.goal { stroke: var(--ink); stroke-width: 1.2; stroke-dasharray: 5 4; }
.line { fill: none; stroke-width: 1.7; stroke-linejoin: round; }
.line.a { stroke: var(--a); } .line.b { stroke: var(--b); } .line.c { stroke: var(--c); }
.line.b { stroke-width: 1.3; } .line.c { stroke-dasharray: 6 2; } .line.faint { stroke-dasharray: 2 3; opacity: .75; }
.area { opacity: .16; } .area.a { fill: var(--a); } .area.b { fill: var(--b); }
.cell { fill: transparent; } .cell:hover { fill: var(--ink); fill-opacity: .07; }
.cursor { stroke: var(--ink); stroke-width: .8; opacity: .5; pointer-events: none; }
.up { fill: var(--up); } .stopped { fill: var(--stopped); } .asleep { fill: var(--asleep); } .paused { fill: var(--paused); }
.stopped.noticed { fill: var(--stopped-known); } .asleep.noticed { fill: var(--asleep-known); }
.paused.noticed { fill: var(--paused-known); }
.believed-suspect { fill: var(--suspect); } .believed-dead { fill: var(--dead); }
.mark { fill: var(--mark); stroke: var(--page); stroke-width: .5; } .mark rect { stroke: none; opacity: .75; }
path.mark { stroke: none; opacity: .55; }
.fault { fill: var(--mark); fill-opacity: .42; stroke: var(--page); stroke-width: .8; } .fault:hover { fill-opacity: .9; }
.dot { stroke: var(--a); fill: var(--a); fill-opacity: .35; stroke-width: 1.5; }
.dot.crashed, .dot.powered-off { stroke: var(--b); fill: var(--b); fill-opacity: .4; }
.dot.paused { stroke: var(--paused); fill: var(--paused); } .dot.left { stroke: var(--good); fill: var(--good); }
table { border-collapse: collapse; margin: .5rem 0 0; font-size: .875rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); padding: .2rem 0; }
th, td { text-align: left; padding: .22rem .9rem .22rem 0; border-bottom: 1px solid var(--rule); vertical-align: top; }
thead th { font-weight: 600; white-space: nowrap; }
td.number, th.number { text-align: right; white-space: nowrap; }
td { overflow-wrap: anywhere; min-width: 3.2rem; }
details { margin: .6rem 0; } summary { cursor: pointer; }
.violation { border-left: 4px solid var(--bad); padding: .3rem 0 .3rem .9rem; margin: 1rem 0; }
.violation h3 { margin: 0; } .violation p { overflow-wrap: anywhere; }
ol.log { list-style: none; margin: .4rem 0; padding: 0; font: .8rem/1.55 ui-monospace, "Cascadia Mono", Menlo, Consolas, monospace; }
ol.log li { display: grid; grid-template-columns: 7.5rem 1fr; gap: .8rem; overflow-wrap: anywhere; }
ol.log time { color: var(--soft); text-align: right; white-space: nowrap; }
ol.log li:last-child { font-weight: 600; }
pre { background: var(--panel); padding: .7rem .9rem; border-radius: 6px; overflow-x: auto; font-size: .82rem; }
code { font-family: ui-monospace, "Cascadia Mono", Menlo, Consolas, monospace; }
.verdict { font-weight: 600; } .verdict.held { color: var(--good); } .verdict.broken { color: var(--bad); }
.verdict.open { color: var(--soft); font-weight: 400; }
@media (max-width: 40rem) { body { padding: 1rem .75rem 3rem; } h1 { font-size: 1.3rem; }
  ol.log li { grid-template-columns: 1fr; gap: 0; } ol.log time { text-align: left; } }
@media print { .cursor { display: none; } }
`;

export const SCRIPT = `
for (const picture of document.querySelectorAll('section svg[role="img"]')) {
  const move = (x) => { for (const line of document.querySelectorAll('.cursor')) { line.setAttribute('x1', x); line.setAttribute('x2', x); } };
  picture.addEventListener('pointermove', (event) => {
    const box = picture.getBoundingClientRect();
    const x = (event.clientX - box.left) * picture.viewBox.baseVal.width / box.width;
    move(x >= 96 ? x : -9);
  });
  picture.addEventListener('pointerleave', () => move(-9));
}
`;
