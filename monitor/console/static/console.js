// Shortcuts, and the countdown of a claim. Every page works without this file.
"use strict";

const fields = "input, select, textarea, [contenteditable]";
const help = document.getElementById("help");

function move(step) {
  const targets = [...document.querySelectorAll(".queue .open, .pictures .still")];
  if (targets.length === 0) return;
  const here = targets.indexOf(document.activeElement);
  const next = here === -1 ? (step > 0 ? 0 : targets.length - 1) : Math.min(Math.max(here + step, 0), targets.length - 1);
  targets[next].focus();
  targets[next].scrollIntoView({ block: "nearest" });
}

const shortcuts = {
  j: () => move(1),
  k: () => move(-1),
  c: () => document.querySelector('form[data-shortcut="c"]')?.requestSubmit(),
  q: () => location.assign(document.querySelector("a.brand").href),
  v: () => {
    const radios = [...document.querySelectorAll('#verdict-form input[type="radio"]')];
    (radios.find((radio) => radio.checked) ?? radios[0])?.focus();
    document.getElementById("verdict")?.scrollIntoView({ block: "start" });
  },
  "?": () => help.showModal(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || help.open) return;
  if (event.target.closest(fields)) return;
  const run = shortcuts[event.key];
  if (run === undefined) return;
  event.preventDefault();
  run();
});

for (const button of document.querySelectorAll("[data-help]")) {
  button.hidden = false;
  button.addEventListener("click", shortcuts["?"]);
}

// A claim is renewed while somebody works on the page, and runs out when nobody does.
function watchClaim(clock) {
  const lease = Number(clock.dataset.lease);
  let ends = performance.now() + Number(clock.dataset.seconds) * 1000;
  let active = false;
  let renewing = false;
  for (const kind of ["keydown", "pointermove", "scroll"]) {
    document.addEventListener(kind, () => { active = true; }, { passive: true });
  }

  async function renew() {
    renewing = true;
    active = false;
    try {
      const answer = await fetch(clock.dataset.renew, {
        method: "POST",
        headers: { "Content-Type": "application/json", "X-CSRF-Token": document.querySelector('meta[name="csrf-token"]').content },
        body: JSON.stringify({ token: Number(clock.dataset.token) }),
      });
      if (answer.ok) ends = performance.now() + lease * 1000;
      else if (answer.status === 409) ends = performance.now();
    } catch {
      // The network is away: the clock keeps running, and the next second tries again.
      active = true;
    }
    renewing = false;
  }

  function tick() {
    const left = Math.max(0, Math.floor((ends - performance.now()) / 1000));
    clock.textContent = left > 0 ? `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}` : "ended, claim again";
    clock.classList.toggle("short", left < lease / 5);
    if (left === 0) return clearInterval(timer);
    if (active && !renewing && !document.hidden && left < lease * 0.8) renew();
  }
  const timer = setInterval(tick, 1000);
  tick();
}

document.querySelectorAll(".countdown").forEach(watchClaim);
