// The one style sheet of the pages, inside of each.
#pragma once

#include <string_view>

namespace kvjury::reports {

inline constexpr std::string_view kStyle = R"css(
:root { color-scheme: light dark;
  --page:#f5f6f8; --card:#ffffff; --ink:#1b2027; --mute:#566069; --line:#d8dde3; --soft:#eef1f4; --link:#0b53bf;
  --same:#0f6130; --same-b:#e2f4e8; --bad:#a1122a; --bad-b:#fde7ea; --hang:#6a2aa8; --hang-b:#f1e7fb;
  --open:#7a4b00; --open-b:#fdf0d2; --loud:#8a3a06; --loud-b:#fce9dc; --none:#566069; --none-b:#eceff2; }
@media screen and (prefers-color-scheme: dark) { :root {
  --page:#0f1317; --card:#171c22; --ink:#e4e8ec; --mute:#9ba6b1; --line:#2f3841; --soft:#1f262d; --link:#86b6ff;
  --same:#7fdca0; --same-b:#12301f; --bad:#ff9aa8; --bad-b:#43141c; --hang:#d3aeff; --hang-b:#2f1d45;
  --open:#f2c766; --open-b:#382a08; --loud:#ffb184; --loud-b:#3c2112; --none:#9ba6b1; --none-b:#242b32; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin:0; background:var(--page); color:var(--ink);
  font:16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width:68rem; margin:0 auto; padding:2rem 1.25rem 4rem; }
h1 { font-size:1.55rem; line-height:1.25; margin:.4rem 0 0; font-weight:650; text-wrap:balance; }
h2 { font-size:1.2rem; margin:2.6rem 0 .7rem; font-weight:650; }
h3 { font-size:1.08rem; margin:0; font-weight:650; display:flex; flex-wrap:wrap; gap:.35rem .7rem; align-items:center; }
h2 + h3, .scroll + h3 { margin-top:1.3rem; }
h4 { font-size:.95rem; margin:1.3rem 0 .4rem; font-weight:650; }
p { margin:.5rem 0; }
a { color:var(--link); text-underline-offset:.15em; }
:focus-visible { outline:3px solid var(--link); outline-offset:2px; border-radius:3px; }
small, .mute { color:var(--mute); }
code, pre, .bytes { font-family:ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size:.86em; }
.bytes, code { overflow-wrap:anywhere; unicode-bidi:isolate; }
.hid { color:var(--loud); background:var(--loud-b); border-radius:3px; padding:0 .12em; font-size:.9em; }
.eyebrow { color:var(--mute); font-size:.9rem; margin:0; }
.verdict { border-top:.45rem solid var(--c); background:var(--card); border-radius:.6rem; padding:1.4rem 1.6rem 1.5rem;
  box-shadow:0 1px 3px rgb(0 0 0 / .09); }
.verdict .badge { font-size:1.05rem; padding:.2rem .75rem; }
.verdict .lead { font-size:1.05rem; max-width:52rem; }
.same { --c:var(--same); --b:var(--same-b); } .different, .false-success { --c:var(--bad); --b:var(--bad-b); }
.hang { --c:var(--hang); --b:var(--hang-b); } .unproven { --c:var(--open); --b:var(--open-b); }
.honest-failure { --c:var(--loud); --b:var(--loud-b); } .skipped, .not-checked, .nothing { --c:var(--none); --b:var(--none-b); }
.badge { display:inline-flex; gap:.4em; align-items:baseline; color:var(--c); background:var(--b); border:1px solid currentColor;
  border-radius:.4rem;
  padding:.05rem .5rem; font-weight:650; font-size:.92rem; white-space:nowrap; }
.badge.false-success { color:var(--card); background:var(--c); border-color:var(--c); }
.facts { display:grid; grid-template-columns:max-content 1fr; gap:.25rem 1.2rem; margin:1rem 0 0; font-size:.94rem; }
.facts dt { color:var(--mute); } .facts dd { margin:0; min-width:0; overflow-wrap:anywhere; }
.tiles { display:grid; grid-template-columns:repeat(auto-fill, minmax(7.2rem, 1fr)); gap:.6rem; padding:0; margin:0; list-style:none; }
.tiles li { background:var(--card); border:1px solid var(--line); border-radius:.5rem; padding:.55rem .8rem; color:var(--mute);
  font-size:.86rem; line-height:1.35; }
.tiles b { display:block; color:var(--ink); font-size:1.25rem; font-variant-numeric:tabular-nums; font-weight:650; }
.tiles .zero b { color:var(--mute); font-weight:400; }
.scroll { overflow-x:auto; background:var(--card); border:1px solid var(--line); border-radius:.5rem; }
table { border-collapse:collapse; width:100%; font-size:.9rem; font-variant-numeric:tabular-nums; }
th, td { text-align:left; vertical-align:top; padding:.42rem .7rem; border-bottom:1px solid var(--line); }
tbody tr:last-child > * { border-bottom:0; }
thead th { color:var(--mute); font-weight:600; vertical-align:bottom; background:var(--soft); }
tbody th { font-weight:600; }
.scroll td, tbody th { min-width:4.5rem; } .scroll td:has(code), .scroll td:has(.bytes) { min-width:13rem; }
.num { text-align:right; white-space:nowrap; }
.matrix td { border-left:1px solid var(--line); background:var(--b, transparent); min-width:4.8rem; padding:.42rem .5rem; line-height:1.3; }
.matrix td a { color:var(--c); font-weight:600; }
.matrix td.false-success { box-shadow:inset 0 0 0 2px var(--c); }
.matrix thead th { border-left:1px solid var(--line); overflow-wrap:break-word; min-width:4.8rem; padding:.42rem .5rem; max-width:12rem; }
.matrix tbody th { position:sticky; left:0; background:var(--card); min-width:8rem; max-width:13rem; overflow-wrap:anywhere; }
.matrix thead th:first-child { position:sticky; left:0; border-left:0; }
.wide { margin-inline:calc(-1 * max(0px, (min(100vw - 4rem, 86rem) - 100%) / 2)); }
.matrix small { display:block; } .matrix .runs a { font-weight:400; margin-right:.35em; white-space:nowrap; }
.tally { display:flex; flex-wrap:wrap; gap:.5rem 1.1rem; margin:.2rem 0 .9rem; }
.planted { display:inline-block; border:1px dashed var(--mute); color:var(--mute); border-radius:.35rem; padding:0 .4em;
  font-size:.8rem; font-weight:500; }
.why-list { padding-left:1.2rem; } .why-list li { margin:.4rem 0; }
.drill { background:var(--card); border:1px solid var(--line); border-left:.4rem solid var(--c); border-radius:.5rem;
  padding:1rem 1.3rem 1.1rem; margin:0 0 1rem; scroll-margin-top:1rem; }
.drill:target { box-shadow:0 0 0 3px var(--link); }
.drill .number { color:var(--mute); font-weight:400; font-size:.9rem; margin-left:auto; }
.drill .why { font-size:1.03rem; max-width:56rem; }
.scroll + .scroll { margin-top:.7rem; }
.drill .scroll { border-radius:.4rem; }
.note { border-left:3px solid var(--line); padding:.1rem 0 .1rem .8rem; margin:.7rem 0; font-size:.94rem; max-width:56rem; }
details { margin:.6rem 0 0; border-top:1px solid var(--line); padding-top:.5rem; }
summary { cursor:pointer; font-weight:600; font-size:.95rem; } summary small { font-weight:400; }
details > :nth-child(2) { margin-top:.6rem; }
.bar { min-width:8rem; width:30%; } .bar span { display:block; height:.7rem; min-width:3px; background:var(--mute);
  border-radius:2px; margin-top:.4rem; }
.bar .ended { background:repeating-linear-gradient(135deg, var(--bad) 0 4px, transparent 4px 7px); }
.tree, .tree ul { list-style:none; margin:0; padding-left:1.15rem; border-left:1px solid var(--line); } .tree { padding-left:0;
  border-left:0; }
.tree li { padding:.06rem 0 .06rem .3rem; font-size:.92rem; } .tree .sign { font-weight:700; color:var(--bad);
  font-family:ui-monospace, Menlo, Consolas, monospace; }
.finding { border:1px solid var(--line); border-radius:.4rem; padding:.7rem .9rem; margin:.7rem 0; break-inside:avoid; }
.finding h5 { margin:0; font-size:.93rem; font-weight:600; } .finding .facts { margin-top:.5rem; font-size:.88rem; }
.chain { list-style:none; display:inline-flex; flex-wrap:wrap; gap:.1rem .35rem; padding:0; margin:0; } .chain li::after {
  content:" \2192"; color:var(--mute); } .chain li:last-child::after { content:""; }
.chain .lost { color:var(--bad); font-weight:650; } .chain .after { color:var(--mute); }
.command { background:var(--soft); border:1px solid var(--line); border-radius:.4rem; padding:.55rem .8rem; margin:.3rem 0;
  white-space:pre-wrap; overflow-wrap:anywhere; user-select:all; -webkit-user-select:all; }
.sign-here { display:grid; grid-template-columns:2fr 1fr 2fr; gap:1.5rem; margin:3rem 0 0; } .sign-here div {
  border-top:1px solid var(--ink); padding-top:.3rem; color:var(--mute); font-size:.85rem; }
.sheet { background:var(--card); border-radius:.6rem; padding:2rem 2.2rem; box-shadow:0 1px 3px rgb(0 0 0 / .09);
  border-top:.45rem solid var(--c); } .sheet h2 { margin:1.6rem 0 .5rem; font-size:1.05rem; } .sheet ul:not(.tiles) { margin:.3rem 0;
  padding-left:1.2rem; font-size:.92rem; }
footer { margin-top:3rem; color:var(--mute); font-size:.86rem; }
.unseen { position:absolute; width:1px; height:1px; overflow:hidden; clip-path:inset(50%); white-space:nowrap; }
@media (max-width: 34rem) { main { padding:1rem .8rem 3rem; } h1 { font-size:1.35rem; } .verdict { padding:1.1rem 1.1rem 1.2rem; }
  .drill { padding:.8rem .9rem; } .sheet { padding:1.2rem 1.1rem; }
  .facts { grid-template-columns:1fr; gap:0; } .facts dd { margin-bottom:.45rem; } .tiles { grid-template-columns:1fr 1fr; }
  .drill .number { margin-left:0; } .sign-here { grid-template-columns:1fr; gap:2.4rem; } }
@media print { @page { margin:12mm; } body { background:none; font-size:10.5pt; } main { padding:0; max-width:none; }
  .verdict, .sheet { box-shadow:none; border:1px solid var(--line); border-top:.45rem solid var(--c); }
  .sheet { padding:.5rem 1.2rem .6rem; font-size:9pt; line-height:1.35; } .sheet h1 { font-size:1.3rem; } 
  .sheet .facts { gap:.05rem 1rem; margin-top:.4rem; font-size:9pt; } .sheet ul:not(.tiles) { font-size:9pt; }
  .sheet th, .sheet td { padding:.2rem .5rem; font-size:8pt; } .sheet .tiles { grid-template-columns:repeat(8, 1fr); gap:.3rem; }
  .sheet .tiles li { padding:.25rem .4rem; font-size:7.5pt; } .sheet .tiles b { font-size:1rem; } .sheet .sign-here { margin-top:2.4rem; }
  .sheet h2 { margin:.7rem 0 .2rem; } .badge, .matrix td, .verdict, .drill, .sheet, .bar span {
  print-color-adjust:exact; -webkit-print-color-adjust:exact; } h2, h3, h4, summary { break-after:avoid; } tr, .finding, .tiles li {
  break-inside:avoid; }
  .scroll { overflow:visible; } .wide { margin-inline:0; } .scroll td, .scroll td:has(.bytes), tbody th { min-width:0; }
  .matrix th, .matrix td { min-width:0; padding:.3rem; font-size:8pt; position:static; }
  a { color:inherit; } }
)css";

}  // namespace kvjury::reports
