// Two images in one view: zoom, place, window and pointer are shared.

const MOST_ZOOM = 16;
const PIXELS_SEEN_FROM = 3; // times enlarged; below, neighbouring pixels are blended

export class Viewer {
  // windowHU: shown black and white at first. changed: called with brightness, contrast and the HU
  // now shown black and white, when the rater has changed them.
  constructor(canvases, windowHU, changed) {
    this.canvases = canvases;
    this.windowHU = windowHU;
    this.changed = changed;
    this.images = null;
    this.pointer = null;
    this.fingers = new Map();
    this.asAtFirst();
    for (const canvas of canvases) this.listen(canvas);
    new ResizeObserver(() => this.draw()).observe(canvases[0]);
    new ResizeObserver(() => this.draw()).observe(canvases[1]);
  }

  // images: two ImageData of one size; aspect: height by width of a pixel; mm: its width.
  show(images, aspect, mm) {
    this.images = images.map((data) => ({ data, drawn: shaded(data, 0, 1) }));
    this.aspect = aspect;
    this.mm = mm;
    this.asAtFirst();
    this.draw();
  }

  asAtFirst() {
    this.zoom = 1;
    this.centre = [0.5, 0.5];
    this.setWindow(0, 0);
  }

  fit() {
    this.zoom = 1;
    this.centre = [0.5, 0.5];
    this.draw();
  }

  // brightness and contrast: -1 to 1, 0 for the study's window.
  setWindow(brightness, contrast) {
    this.brightness = clamp(brightness, -1, 1);
    this.contrast = clamp(contrast, -1, 1);
    const width = 2 ** (-2.5 * this.contrast);
    const middle = 0.5 - 0.5 * this.brightness;
    if (this.images) {
      for (const image of this.images) {
        image.drawn = shaded(image.data, middle - width / 2, middle + width / 2, image.drawn);
      }
    }
    const [least, most] = this.windowHU;
    const hu = [middle - width / 2, middle + width / 2].map((part) => least + part * (most - least));
    this.changed(this.brightness, this.contrast, hu);
    this.draw();
  }

  zoomBy(factor, at = null) {
    const before = this.zoom;
    this.zoom = clamp(this.zoom * factor, 1, MOST_ZOOM);
    if (at !== null) { // what lies under the pointer stays there
      const kept = 1 - before / this.zoom;
      this.centre = this.centre.map((c, n) => c + (at[n] - c) * kept);
    }
    this.draw();
  }

  moveBy(x, y) { // parts of the image
    this.centre = [this.centre[0] + x, this.centre[1] + y];
    this.draw();
  }

  // Screen pixels by image pixel, and the image's size on the screen.
  layout(canvas) {
    const { width, height } = this.images[0].data;
    const fit = Math.min(canvas.width / width, canvas.height / (height * this.aspect));
    const scale = fit * this.zoom;
    return { scale, wide: width * scale, high: height * this.aspect * scale };
  }

  // Where a point of a canvas lies in the image: parts of its width and height.
  point(canvas, event) {
    const box = canvas.getBoundingClientRect();
    const ratio = canvas.width / box.width;
    const { wide, high } = this.layout(canvas);
    return [
      this.centre[0] + ((event.clientX - box.left) * ratio - canvas.width / 2) / wide,
      this.centre[1] + ((event.clientY - box.top) * ratio - canvas.height / 2) / high,
    ];
  }

  draw() {
    if (!this.images) return;
    const half = 0.5 / this.zoom;
    this.centre = this.centre.map((c) => clamp(c, half, 1 - half));
    this.canvases.forEach((canvas, n) => this.drawOne(canvas, this.images[n].drawn, n));
  }

  drawOne(canvas, drawn, number) {
    const box = canvas.getBoundingClientRect();
    const ratio = window.devicePixelRatio || 1;
    canvas.width = Math.max(1, Math.round(box.width * ratio));
    canvas.height = Math.max(1, Math.round(box.height * ratio));
    const { scale, wide, high } = this.layout(canvas);
    const context = canvas.getContext("2d");
    context.imageSmoothingEnabled = scale < PIXELS_SEEN_FROM * ratio;
    context.imageSmoothingQuality = "high";
    const left = canvas.width / 2 - this.centre[0] * wide;
    const top = canvas.height / 2 - this.centre[1] * high;
    context.drawImage(drawn, left, top, wide, high);
    this.drawScale(context, canvas, scale, ratio);
    if (this.pointer && this.pointer.number !== number) {
      const [x, y] = this.pointer.at;
      drawMark(context, left + x * wide, top + y * high, ratio);
    }
  }

  drawScale(context, canvas, scale, ratio) {
    const longest = (canvas.width / 4) / scale * this.mm;
    const power = 10 ** Math.floor(Math.log10(longest));
    const length = [5, 2, 1].map((step) => step * power).find((step) => step <= longest);
    const pixels = length / this.mm * scale;
    const [right, bottom] = [canvas.width - 14 * ratio, canvas.height - 14 * ratio];
    context.fillStyle = "rgb(13 15 18 / 70%)";
    context.fillRect(right - pixels - 8 * ratio, bottom - 20 * ratio, pixels + 16 * ratio, 28 * ratio);
    context.fillStyle = "#aeb5bb";
    context.fillRect(right - pixels, bottom - 2 * ratio, pixels, 2 * ratio);
    context.font = `${12 * ratio}px system-ui, sans-serif`;
    context.textAlign = "center";
    const text = length < 1 ? `${+(1000 * length).toPrecision(3)} µm` : `${length} mm`;
    context.fillText(text, right - pixels / 2, bottom - 6 * ratio);
  }

  listen(canvas) {
    const number = this.canvases.indexOf(canvas);
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      if (this.images) this.zoomBy(2 ** (-event.deltaY / 300), this.point(canvas, event));
    }, { passive: false });
    canvas.addEventListener("dblclick", () => this.fit());
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.fingers.set(event.pointerId, event);
    });
    canvas.addEventListener("pointermove", (event) => this.moved(canvas, number, event));
    for (const kind of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(kind, (event) => this.fingers.delete(event.pointerId));
    }
    canvas.addEventListener("pointerleave", () => {
      this.pointer = null;
      this.draw();
    });
  }

  moved(canvas, number, event) {
    if (!this.images) return;
    const before = this.fingers.get(event.pointerId);
    if (event.pointerType !== "touch") this.pointer = { number, at: this.point(canvas, event) };
    if (before === undefined) return this.draw();
    const ratio = canvas.width / canvas.getBoundingClientRect().width;
    const [x, y] = [event.clientX - before.clientX, event.clientY - before.clientY];
    const moved = () => {
      const { wide, high } = this.layout(canvas);
      return [-x * ratio / wide, -y * ratio / high];
    };
    if (this.fingers.size === 2) {
      const [other] = [...this.fingers.values()].filter((f) => f.pointerId !== event.pointerId);
      const factor = distance(event, other) / Math.max(1, distance(before, other));
      this.fingers.set(event.pointerId, event);
      // What was in the middle between the two stays there, and the middle moves half as far.
      this.zoomBy(factor, this.point(canvas, middle(before, other)));
      return this.moveBy(...moved().map((part) => part / 2));
    }
    this.fingers.set(event.pointerId, event);
    if (event.buttons & 2) return this.setWindow(this.brightness - y / 300, this.contrast + x / 300);
    return this.moveBy(...moved());
  }
}

// A canvas that shows an image with other greys: `black` and `white` are parts of its range.
function shaded(data, black, white, canvas = document.createElement("canvas")) {
  const { width, height } = data;
  canvas.width = width;
  canvas.height = height;
  const greys = new Uint8ClampedArray(256);
  for (let grey = 0; grey < 256; grey++) greys[grey] = 255 * (grey / 255 - black) / (white - black);
  const shown = new ImageData(width, height);
  const [from, to] = [data.data, new Uint32Array(shown.data.buffer)];
  for (let n = 0; n < to.length; n++) to[n] = 0xff000000 | (greys[from[4 * n]] * 0x010101);
  canvas.getContext("2d").putImageData(shown, 0, 0);
  return canvas;
}

function drawMark(context, x, y, ratio) {
  context.strokeStyle = "rgb(227 176 75 / 85%)";
  context.lineWidth = 1.2 * ratio;
  context.beginPath();
  for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
    context.moveTo(x + 4 * dx * ratio, y + 4 * dy * ratio);
    context.lineTo(x + 11 * dx * ratio, y + 11 * dy * ratio);
  }
  context.stroke();
}

const clamp = (value, least, most) => Math.min(Math.max(value, least), most);
const middle = (a, b) => ({ clientX: (a.clientX + b.clientX) / 2, clientY: (a.clientY + b.clientY) / 2 });
const distance = (a, b) => Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
