// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

// The page works without this; it adds what a page alone cannot do: new
// messages appear, j and k walk the list, a mail's frame is as high as the mail.
"use strict";

const list = document.getElementById("list");
const here = new URL(location.href);

function fit(frame) {
  const doc = frame.contentDocument;
  if (!doc || !doc.documentElement) return;
  const set = () => { frame.style.height = Math.max(doc.documentElement.scrollHeight, 160) + "px"; };
  set();
  for (const image of doc.images) if (!image.complete) image.addEventListener("load", set);
}
for (const frame of document.querySelectorAll("iframe.mail-body")) {
  frame.addEventListener("load", () => fit(frame));
  fit(frame);
}

function rows() { return [...list.querySelectorAll("a.row")]; }

document.addEventListener("keydown", (e) => {
  if (e.ctrlKey || e.metaKey || e.altKey || e.target.closest("input, textarea, select")) return;
  if (e.key === "/") {
    e.preventDefault();
    document.getElementById("search").focus();
    return;
  }
  if (e.key === "Escape" && document.body.classList.contains("reading")) {
    document.querySelector("a.back")?.click();
    return;
  }
  const step = { j: 1, k: -1 }[e.key];
  if (!step) return;
  const all = rows();
  const at = all.findIndex((a) => a === document.activeElement || a.getAttribute("aria-current"));
  const to = all[at < 0 ? 0 : Math.min(Math.max(at + step, 0), all.length - 1)];
  if (to) to.click();
});

// The opened row stays in sight, and the list where it was, from page to page.
const box = document.querySelector(".side");
const kept = sessionStorage.getItem("scroll");
if (kept) box.scrollTop = Number(kept);
list.querySelector('[aria-current="true"]')?.scrollIntoView({ block: "nearest" });
addEventListener("pagehide", () => sessionStorage.setItem("scroll", box.scrollTop));

let seen = null;
async function refresh() {
  if (document.hidden) return;
  const stats = (await (await fetch("/api/stats")).json()).channels;
  const print = JSON.stringify(stats);
  if (seen === print) return;
  const first = seen === null;
  seen = print;
  let total = 0;
  for (const [channel, counts] of Object.entries(stats)) {
    total += counts.messages;
    const count = document.querySelector(`.count[data-channel="${channel}"]`);
    if (count) count.textContent = counts.messages;
  }
  document.querySelector('.count[data-channel=""]').textContent = total;
  // An older page stays as it is, and a search reads every mail anew.
  if (first || here.searchParams.has("before") || here.searchParams.get("q")) return;
  const ask = new URL(here);
  ask.searchParams.set("list", "");
  const answer = await fetch(ask);
  if (!answer.ok) return;
  const focused = document.activeElement?.closest?.("a.row")?.getAttribute("href");
  list.innerHTML = await answer.text(); // the server's own escaped markup
  if (focused) rows().find((a) => a.getAttribute("href") === focused)?.focus({ preventScroll: true });
}
setInterval(() => refresh().catch(() => {}), 2000);
