
"use strict";
const PAUSE = 150;  // ms without a move, before the model is asked
let clean = null;  // the post and prediction that the noise is added to
let moving = null, moves = 0;

const shareOf = (id) => Number($(id).value) / 100;
const certainty = (prediction) => `${place(prediction.label)}, ${percent(prediction.probabilities[prediction.label])}`;

// A new prediction: its sliders stand at no noise.
function quiet() {
  clean = answered;
  moves += 1;
  clearTimeout(moving);
  $("fewer-row").hidden = !clean.text.trim();
  $("blur-row").hidden = !clean.photo;
  for (const id of ["fewer", "blur"]) $(id).value = 0;
  said();
}

// Words with the blanks before them, each with whether it stays. Those that stay at a large share
// stay at every smaller one; one word at least stays where there is no picture.
function thinned(text, share) {
  const words = text.match(/\s*\S+/g) || [];
  const ranks = words.map((_, i) => (i * 0.6180339887 + 0.5) % 1);
  const last = ranks.indexOf(Math.max(...ranks));
  return words.map((word, i) => ({ word, stays: ranks[i] >= share || (i === last && !clean.photo) }));
}

// Drawn small and large again, down to 4 pixels: every browser can do that.
async function blurred(photo, share) {
  const picture = await createImageBitmap(photo);
  const side = Math.min(picture.width, picture.height, 512), scale = side / Math.min(picture.width, picture.height);
  const width = Math.round(picture.width * scale), height = Math.round(picture.height * scale);
  const shrink = Math.pow(4 / side, share);
  const small = element("canvas"), large = element("canvas");
  small.width = Math.max(1, Math.round(width * shrink));
  small.height = Math.max(1, Math.round(height * shrink));
  for (const [canvas, from] of [[small, picture], [large, small]]) {
    if (canvas === large) [large.width, large.height] = [width, height];
    const pen = canvas.getContext("2d");
    pen.imageSmoothingQuality = "high";
    pen.drawImage(from, 0, 0, canvas.width, canvas.height);
  }
  return new Promise((done) => large.toBlob(done, "image/jpeg", 0.9));
}

// What the sliders say, in words and as what the model gets.
function said(picture) {
  const fewer = shareOf("fewer"), blur = shareOf("blur");
  for (const id of ["fewer", "blur"]) $(`${id}-share`).textContent = percent(shareOf(id));
  $("noisy").hidden = !fewer;
  $("noisy").replaceChildren(...thinned(clean.text, fewer).map(({ word, stays }) => element(stays ? "span" : "s", word)));
  $("blurred").hidden = !blur;
  if (picture) {
    if ($("blurred").src) URL.revokeObjectURL($("blurred").src);
    $("blurred").src = URL.createObjectURL(picture);
  }
}

async function predictNoisy() {
  const mine = ++moves, form = new FormData();
  const fewer = shareOf("fewer"), blur = shareOf("blur");
  const text = fewer ? thinned(clean.text, fewer).filter((w) => w.stays).map((w) => w.word).join("") : clean.text;
  let photo = clean.photo;
  try {
    if (photo && blur) photo = await blurred(photo, blur);
    if (mine !== moves) return;
    said(photo);
    form.append("text", text);
    if (photo) form.append("image", photo, "photo");
    const response = await send("predict", form), answer = await response.json();
    if (mine !== moves) return;
    if (!response.ok) {
      $("moved").textContent = answer.error || `The server answered ${response.status}`;
      return;
    }
    answered = { text, photo, prediction: answer };
    show(answer);
    forget();
    const before = clean.prediction;
    $("moved").textContent = fewer || blur
      ? `Without noise: ${certainty(before)}; by the text ${percent(before.gate)}, by the picture ${percent(1 - before.gate)}.`
      : "";
  } catch {
    if (mine === moves) $("moved").textContent = "The server did not answer. Is it still running?";
  }
}

for (const id of ["fewer", "blur"]) {
  $(id).addEventListener("input", () => {
    said();
    clearTimeout(moving);
    moving = setTimeout(predictNoisy, PAUSE);
  });
}

// Who answers and since when, and where else to look.
async function links() {
  const list = Object.entries(await (await fetch("links")).json());
  const item = ([name, address]) => {
    const link = element("a", name);
    link.href = address;
    return link;
  };
  $("links").replaceChildren(...list.flatMap((entry) => [" · ", item(entry)]));
}

async function since() {
  const response = await send("version");
  if (!response.ok) return;
  const answer = await response.json();
  const at = new Date(answer.serving_since).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  const other = answer.model_version === clean.prediction.model_version ? "" : `Version ${answer.model_version} `;
  $("since").textContent = other ? `${other}serves since ${at}` : `Serving since ${at}`;
}
links().catch(() => {});  // the page works without them
