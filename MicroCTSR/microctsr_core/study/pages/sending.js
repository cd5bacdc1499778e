// What the rater gives goes to the server one after another, and again until it is stored. What is
// not stored yet outlives a reload of the page, as the browser keeps it.

const LONGEST_WAIT_MS = 4000;
const PATIENCE_MS = 15000;

export class Sender {
  // key: under which the browser keeps what is not stored yet.
  // told: {stored(trial, said), conflict(trial, said), closed(), refused(text), changed()}
  constructor(key, told) {
    this.key = key;
    this.told = told;
    this.queue = kept(key);
    this.lost = false;
    this.busy = false;
  }

  get waiting() { return this.queue.length; }

  // The last of what was given for a trial and is not stored yet.
  last(trial) { return this.queue.findLast((entry) => entry.trial === trial) ?? null; }

  // known: revision of the trial that is stored.
  give(trial, known, stars, remark) {
    const last = this.last(trial);
    const sent = last !== null && this.busy && last === this.queue[0];
    if (last !== null && !sent) {
      last.stars = stars;
      last.remark = remark;
    } else {
      const revision = (last === null ? known : last.revision) + 1;
      this.queue.push({ trial, revision, stars, remark });
    }
    this.keep();
    this.send();
  }

  async send() {
    if (this.busy) return;
    this.busy = true;
    let wait = 250;
    while (this.queue.length) {
      const entry = this.queue[0];
      const answer = await post(entry);
      if (answer === null || answer.status >= 500 || answer.status === 429) {
        this.lost = true;
        this.told.changed();
        await new Promise((resolve) => setTimeout(resolve, wait));
        wait = Math.min(2 * wait, LONGEST_WAIT_MS);
        continue;
      }
      wait = 250;
      this.lost = false;
      if (answer.ok) {
        this.queue.shift();
        this.told.stored(entry.trial, answer.said);
      } else if (answer.status === 409) {
        this.queue = this.queue.filter((other) => other.trial !== entry.trial);
        this.told.conflict(entry.trial, answer.said.trial);
      } else if (answer.status === 410) {
        this.queue = [];
        this.told.closed();
      } else {
        this.queue.shift();
        this.told.refused(answer.said.error ?? "The server did not take a rating.");
      }
      this.keep();
    }
    this.busy = false;
    this.told.changed();
  }

  keep() {
    try {
      localStorage.setItem(this.key, JSON.stringify(this.queue));
    } catch { /* a browser that keeps nothing still sends */ }
    this.told.changed();
  }
}

function kept(key) {
  try {
    return JSON.parse(localStorage.getItem(key)) ?? [];
  } catch {
    return [];
  }
}

// Null where no answer came.
async function post({ trial, revision, stars, remark }) {
  try {
    const answer = await fetch(`trial/${trial}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ revision, stars, remark }),
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    return { ok: answer.ok, status: answer.status, said: await answer.json() };
  } catch {
    return null;
  }
}
