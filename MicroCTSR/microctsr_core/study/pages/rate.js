// The rater's page. The address tells where the rater is: nothing for the instructions, #7 for the
// seventh pair, #end behind the last; so the browser's own back button works as everybody expects.

import { Sender } from "./sending.js";
import { Viewer } from "./viewer.js";

const $ = (id) => document.getElementById(id);
const STAR = "M12 2.6l2.9 6 6.6.9-4.8 4.6 1.2 6.5-5.9-3.1-5.9 3.1 1.2-6.5L2.5 9.5l6.6-.9z";
const REMARK_PAUSE_MS = 700;

let study, sender, viewer;
let current = null; // number of the pair shown, from 0
let active = 0; // criterion that a key gives stars for
let seen = false; // whether both images are shown: nobody rates what is not there
let remarkTimer = null;
const images = new Map(); // of a trial: promise of its two images

// ---- What is known

const said = (trial) => sender.last(trial) ?? study.trials[trial];
const complete = (trial) => !said(trial).stars.includes(null);
const firstOpen = () => {
  const found = study.trials.findIndex((_, trial) => !complete(trial));
  return found < 0 ? study.trials.length : found;
};

// ---- Views

function view(name) {
  document.body.dataset.view = name;
}

function showStart() {
  const done = study.trials.filter((_, trial) => complete(trial)).length;
  $("begin").textContent = done === 0 ? "Begin" : firstOpen() === study.trials.length ? "Look through" : "Go on";
  $("so-far").textContent = done === 0 ? `${study.trials.length} pairs` : `${done} of ${study.trials.length} pairs are rated and stored`;
  view("start");
  if ($("other-rater").hidden) $("begin").focus(); // or Enter would pass by the warning
}

function showEnd() {
  const open = sender.waiting;
  $("end-text").textContent = open
    ? `${open === 1 ? "One rating is" : `${open} ratings are`} not stored yet. Please leave this page open until this line says that all are.`
    : `All ${study.trials.length} pairs are rated, and every rating is stored. You can close this page.`;
  view("end");
  $("review").focus();
}

async function showTrial(trial) {
  current = trial;
  active = Math.max(0, said(trial).stars.indexOf(null));
  seen = false;
  $("views").classList.add("waiting");
  $("waiting").textContent = "";
  view("trial");
  document.activeElement?.blur();
  showSaid();
  const slow = setTimeout(() => { $("waiting").textContent = "The images are on their way …"; }, 600);
  const shown = await both(trial);
  clearTimeout(slow);
  if (current !== trial || document.body.dataset.view !== "trial") return;
  const { pixel_mm: [wide, high] } = study.trials[trial];
  $("waiting").textContent = "";
  $("views").classList.remove("waiting");
  viewer.show(shown, high / wide, wide);
  seen = true;
  showSaid();
  if (trial + 1 < study.trials.length) both(trial + 1);
  for (const other of images.keys()) if (Math.abs(other - trial) > 2) images.delete(other);
}

function showSaid() {
  if (current === null) return;
  const { stars, remark } = said(current);
  [...$("criteria").children].forEach((block, number) => {
    block.classList.toggle("active", number === active);
    const given = stars[number];
    [...block.querySelectorAll("button")].forEach((button, n) => {
      button.classList.toggle("on", given !== null && n < given);
      button.setAttribute("aria-checked", String(n + 1 === given));
      button.disabled = !seen;
    });
    block.querySelector("output").textContent = given === null ? `1 poor, ${study.most}\u00a0excellent` : `${given} of ${study.most}`;
  });
  if (document.activeElement !== $("remark")) $("remark").value = remark;
  $("remark").disabled = !seen;
  $("place").textContent = `Pair ${current + 1} of ${study.trials.length}`;
  const done = study.trials.filter((_, trial) => complete(trial)).length;
  const share = 100 * done / study.trials.length;
  $("bar").firstElementChild.style.width = `${share}%`;
  $("bar").setAttribute("aria-valuenow", String(Math.round(share)));
  $("back").disabled = current === 0;
  $("next").disabled = !complete(current);
  $("next").classList.toggle("ready", complete(current));
  $("next").textContent = current + 1 === study.trials.length ? "Finish" : "Next";
  showSaved();
}

function showSaved() {
  const [place, open] = [$("saved"), sender.waiting];
  place.dataset.state = open === 0 ? "stored" : sender.lost ? "lost" : "waiting";
  if (open === 0) place.textContent = study.trials.some((trial) => trial.revision > 0) ? "All stored" : "";
  else if (sender.lost) place.textContent = "No connection. What you give is kept here and sent as soon as there is one.";
  else place.textContent = "Storing …";
}

let noticeTimer = null;
function notice(text) {
  $("notice").textContent = text;
  $("notice").hidden = false;
  clearTimeout(noticeTimer);
  noticeTimer = setTimeout(() => { $("notice").hidden = true; }, 8000);
}

// ---- Images

function both(trial) {
  if (!images.has(trial)) {
    images.set(trial, Promise.all([fetched(trial, "left"), fetched(trial, "right")]));
  }
  return images.get(trial);
}

async function fetched(trial, side) {
  for (let wait = 300; ; wait = Math.min(2 * wait, 4000)) {
    try {
      const answer = await fetch(`image/${trial}/${side}`);
      if (!answer.ok) throw new Error(String(answer.status));
      return pixels(await createImageBitmap(await answer.blob()));
    } catch {
      if (current === trial) $("waiting").textContent = "No connection. The images come as soon as there is one.";
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }
}

function pixels(bitmap) {
  const canvas = document.createElement("canvas");
  canvas.width = bitmap.width;
  canvas.height = bitmap.height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, bitmap.width, bitmap.height);
}

// ---- What the rater does

function give(criterion, stars) {
  if (!seen || current === null) return;
  takeRemark();
  const before = said(current);
  const now = [...before.stars];
  now[criterion] = stars;
  active = criterion;
  if (now[criterion] !== before.stars[criterion]) {
    sender.give(current, study.trials[current].revision, now, before.remark);
  }
  const open = now.indexOf(null);
  if (open >= 0) active = open;
  showSaid();
}

function takeRemark() {
  clearTimeout(remarkTimer);
  if (!seen || current === null) return;
  const before = said(current);
  const remark = $("remark").value.trim();
  if (remark !== before.remark) {
    sender.give(current, study.trials[current].revision, [...before.stars], remark);
  }
}

function go(hash) {
  takeRemark();
  location.hash = hash;
}

function next() {
  if (current === null || !complete(current)) return;
  const open = firstOpen();
  go(current + 1 < study.trials.length ? `#${current + 2}` : open < study.trials.length ? `#${open + 1}` : "#end");
}

function back() {
  if (current > 0) go(`#${current}`);
}

function routed() {
  takeRemark();
  const place = location.hash.slice(1);
  current = null;
  if (study.closed) return view("closed");
  if (place === "end" && firstOpen() === study.trials.length) return showEnd();
  if (/^\d+$/.test(place)) {
    // No further than to the first pair that is not rated: the order is as it was drawn.
    const trial = Math.min(Number(place) - 1, firstOpen(), study.trials.length - 1);
    if (trial >= 0) {
      if (place !== String(trial + 1)) history.replaceState(null, "", `#${trial + 1}`);
      return showTrial(trial);
    }
  }
  return showStart();
}

const KEYS = {
  Enter: next, ArrowRight: next, ArrowLeft: back, Backspace: back,
  ArrowUp: () => choose(active - 1), ArrowDown: () => choose(active + 1),
  "+": () => viewer.zoomBy(1.25), "=": () => viewer.zoomBy(1.25), "-": () => viewer.zoomBy(0.8),
  0: () => viewer.fit(),
  "[": () => viewer.setWindow(viewer.brightness, viewer.contrast + 0.1),
  "]": () => viewer.setWindow(viewer.brightness, viewer.contrast - 0.1),
  ",": () => viewer.setWindow(viewer.brightness - 0.1, viewer.contrast),
  ".": () => viewer.setWindow(viewer.brightness + 0.1, viewer.contrast),
  w: () => viewer.setWindow(0, 0),
  r: () => $("remark").focus(),
  p: () => go(""),
};
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function choose(criterion) {
  active = (criterion + study.criteria.length) % study.criteria.length;
  showSaid();
}

function pressed(event) {
  if (document.body.dataset.view !== "trial" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target === $("remark")) {
    if (event.key === "Escape") $("remark").blur();
    return;
  }
  if (event.target.type === "range" && event.key.startsWith("Arrow")) return;
  if (event.target.tagName === "BUTTON" && event.key === "Enter") return; // it clicks the button
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.shiftKey && MOVES[event.key]) {
    const [x, y] = MOVES[event.key];
    viewer.moveBy(0.15 * x / viewer.zoom, 0.15 * y / viewer.zoom);
  } else if (/^[1-9]$/.test(key)) {
    // Held down, a key would fill one criterion after the other.
    if (!event.repeat && Number(key) <= study.most) give(active, Number(key));
  } else if (KEYS[key]) {
    if (!event.repeat || !["Enter", "ArrowRight"].includes(event.key)) KEYS[key]();
  } else return;
  event.preventDefault();
}

// ---- The start

function build() {
  document.title = study.title;
  $("title").textContent = study.title;
  $("rater").textContent = study.rater;
  for (const text of study.instructions) {
    $("instructions").append(Object.assign(document.createElement("p"), { textContent: text }));
  }
  study.criteria.forEach(({ name, explanation }, number) => {
    const letter = String.fromCharCode(97 + number);
    const explained = document.createElement("div");
    explained.append(
      Object.assign(document.createElement("dt"), { textContent: `(${letter}) ${name}` }),
      Object.assign(document.createElement("dd"), { textContent: explanation }),
    );
    $("criteria-explained").append(explained);
    $("criteria").append(criterionBlock(letter, name, explanation, number));
  });
  warnOfOther();
}

function criterionBlock(letter, name, explanation, number) {
  const block = Object.assign(document.createElement("div"), { className: "criterion" });
  const heading = Object.assign(document.createElement("h3"), { textContent: name, id: `criterion-${letter}` });
  heading.prepend(Object.assign(document.createElement("span"), { textContent: `(${letter}) ` }));
  const text = Object.assign(document.createElement("p"), { textContent: explanation });
  const row = Object.assign(document.createElement("div"), { className: "stars" });
  row.setAttribute("role", "radiogroup");
  row.setAttribute("aria-labelledby", heading.id);
  for (let stars = 1; stars <= study.most; stars++) {
    const button = Object.assign(document.createElement("button"), { type: "button" });
    const end = stars === 1 ? ", poor" : stars === study.most ? ", excellent" : "";
    button.setAttribute("role", "radio");
    button.setAttribute("aria-label", `${stars} of ${study.most}${end}`);
    button.title = `${stars}${end}`;
    button.innerHTML = `<svg viewBox="0 0 24 24" aria-hidden="true"><path d="${STAR}"/></svg>`;
    button.addEventListener("click", () => give(number, stars));
    row.append(button);
  }
  row.append(document.createElement("output"));
  block.append(heading, text, row);
  return block;
}

// Whoever opens a colleague's link in a browser that has another one's should notice.
function warnOfOther() {
  const key = `rater of ${study.study}`;
  try {
    const before = localStorage.getItem(key);
    if (before !== null && before !== study.rater) {
      $("other-rater").textContent = `On this device, ${before} has rated before. This link belongs to ${study.rater}: please go on only if that is you, and use your own link otherwise.`;
      $("other-rater").hidden = false;
    }
    $("begin").addEventListener("click", () => localStorage.setItem(key, study.rater));
  } catch { /* a browser that keeps nothing has no one to tell of */ }
}

async function loaded() {
  for (;;) {
    try {
      const answer = await fetch("state");
      if (answer.ok) return await answer.json();
    } catch { /* again */ }
    notice("No connection to the study yet. It is tried again.");
    await new Promise((resolve) => setTimeout(resolve, 1500));
  }
}

async function main() {
  study = await loaded();
  $("notice").hidden = true;
  sender = new Sender(`ratings of ${study.study} by ${study.rater}`, {
    stored: (trial, now) => { Object.assign(study.trials[trial], now); },
    conflict: (trial, now) => {
      Object.assign(study.trials[trial], now);
      $("remark").value = said(trial).remark;
      notice(`Pair ${trial + 1} was rated in another window in the meantime. What is stored is shown.`);
    },
    closed: () => { study.closed = true; routed(); },
    refused: notice,
    changed: () => (document.body.dataset.view === "end" ? showEnd() : showSaid()),
  });
  viewer = new Viewer([$("left"), $("right")], study.window, (brightness, contrast, hu) => {
    $("brightness").value = 100 * brightness;
    $("contrast").value = 100 * contrast;
    const [black, white] = hu.map((value) => String(Math.round(value)).replace("-", "−"));
    $("hu").textContent = `${black} to ${white} HU`;
  });
  build();
  sender.send();
  $("begin").addEventListener("click", () => go(`#${Math.min(firstOpen(), study.trials.length - 1) + 1}`));
  $("review").addEventListener("click", () => go(`#${study.trials.length}`));
  $("pause").addEventListener("click", () => go(""));
  $("next").addEventListener("click", next);
  $("back").addEventListener("click", back);
  $("zoom-in").addEventListener("click", () => viewer.zoomBy(1.5));
  $("zoom-out").addEventListener("click", () => viewer.zoomBy(1 / 1.5));
  $("fit").addEventListener("click", () => viewer.fit());
  $("window").addEventListener("click", () => viewer.setWindow(0, 0));
  for (const id of ["brightness", "contrast"]) {
    $(id).addEventListener("input", () => viewer.setWindow($("brightness").value / 100, $("contrast").value / 100));
  }
  $("remark").addEventListener("input", () => {
    clearTimeout(remarkTimer);
    remarkTimer = setTimeout(takeRemark, REMARK_PAUSE_MS);
  });
  $("remark").addEventListener("blur", takeRemark);
  document.addEventListener("keydown", pressed);
  // What was clicked by mouse or finger is not in the way of the keys afterwards.
  $("trial").addEventListener("click", (event) => {
    if (event.detail > 0) event.target.closest("button, input")?.blur();
  });
  window.addEventListener("hashchange", routed);
  window.addEventListener("pagehide", takeRemark);
  window.addEventListener("beforeunload", (event) => {
    takeRemark();
    if (sender.waiting) event.preventDefault();
  });
  routed();
}

main();
