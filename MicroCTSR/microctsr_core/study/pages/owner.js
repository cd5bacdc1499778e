// The owner's page: how far the raters are, and closing the study. It knows no rating.

const $ = (id) => document.getElementById(id);
const EVERY_MS = 3000;
const rows = new Map();

function made(tag, name, text = "") {
  return Object.assign(document.createElement(tag), { className: name, textContent: text });
}

function row(rater) {
  if (!rows.has(rater.name)) {
    const [block, track] = [made("div", "rater"), made("div", "track")];
    block.setAttribute("role", "listitem");
    track.append(document.createElement("span"));
    const copy = made("button", "", "Copy link");
    copy.type = "button";
    copy.addEventListener("click", () => copied(copy, rater.link));
    block.append(made("span", "name", rater.name), track, made("span", "count"), made("span", "last"), copy);
    $("raters").append(block);
    rows.set(rater.name, block);
  }
  return rows.get(rater.name);
}

async function copied(button, link) {
  try {
    await navigator.clipboard.writeText(link);
  } catch { // only pages of this computer or with HTTPS may write to the clipboard
    window.prompt("The link:", link);
    return;
  }
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = "Copy link"; }, 1500);
}

function ago(time) {
  if (time === null) return "not begun";
  const minutes = Math.floor((Date.now() - new Date(time)) / 60000);
  if (minutes < 1) return "a moment ago";
  if (minutes < 60) return `${minutes} min ago`;
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)} h ago`;
  return new Date(time).toLocaleDateString();
}

function show(told) {
  document.title = `${told.title}: progress`;
  $("title").textContent = told.title;
  $("size").textContent = `${told.slices} slices by ${told.methods} methods, ${told.raters.length} rater${told.raters.length === 1 ? "" : "s"}`;
  let open = 0;
  for (const rater of told.raters) {
    const block = row(rater);
    const track = block.querySelector(".track");
    track.firstElementChild.style.width = `${100 * rater.done / rater.trials}%`;
    track.classList.toggle("done", rater.done === rater.trials);
    block.querySelector(".count").textContent = `${rater.done} / ${rater.trials}`;
    block.querySelector(".last").textContent = rater.done === rater.trials ? "finished" : ago(rater.last);
    open += rater.trials - rater.done;
  }
  const closed = told.closed_at !== null;
  $("state").textContent = closed
    ? `Closed on ${new Date(told.closed_at).toLocaleString()}. No more ratings are taken.`
    : open ? `${open} rating${open === 1 ? " is" : "s are"} still to come.` : "Everybody has finished. The study can be closed.";
  $("close").hidden = closed || !$("really").hidden;
  $("report").hidden = !closed;
  if (closed) ask(false);
}

function ask(whether) {
  $("really").hidden = $("keep").hidden = !whether;
  $("about-closing").textContent = whether ? "Raters can give and change nothing afterwards." : "";
}

async function look() {
  try {
    const answer = await fetch("progress", { signal: AbortSignal.timeout(10000) });
    if (!answer.ok) throw new Error(String(answer.status));
    show(await answer.json());
    $("notice").hidden = true;
  } catch {
    $("notice").textContent = "The server does not answer. It is asked again.";
    $("notice").hidden = false;
  }
}

$("close").addEventListener("click", () => { ask(true); $("close").hidden = true; $("keep").focus(); });
$("keep").addEventListener("click", () => { ask(false); $("close").hidden = false; });
$("really").addEventListener("click", async () => {
  await fetch("close", { method: "POST", headers: { "Content-Type": "application/json" }, body: "{}" });
  ask(false);
  await look();
});

await look();
setInterval(look, EVERY_MS);
