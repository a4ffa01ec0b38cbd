
"use strict";
const PARTS = 8;
const SIDE = 360;  // of the picture, in CSS pixels
const NAMES = { text: "Text", image: "Picture", lang: "Language" };
const BY = { text: "text", image: "picture", both: "both" };
const ALL = "All words together look";
let asking = 0;

// A new prediction: what was explained is no longer about it.
function forget() {
  asking += 1;
  $("ask").hidden = false;
  $("ask").disabled = false;
  $("ask").textContent = "Why this place?";
  $("explained").hidden = $("unexplained").hidden = true;
}

const third = (place, count, names) => names[Math.min(2, Math.floor(3 * (place + 0.5) / count))];
const where = (seen) => {
  const rows = seen.regions.length, columns = seen.regions[0].length;
  const down = third(seen.row, rows, ["top", "middle", "bottom"]);
  const across = third(seen.column, columns, ["left", "centre", "right"]);
  return down === "middle" && across === "centre" ? "in the middle" : `at the ${down} ${across}`;
};

// As on the PNG: full colour is the peak, but never less than four times an even share, so that
// an attention that looks everywhere stays pale.
function heat(seen, words) {
  const rows = seen.regions.length, columns = seen.regions[0].length, even = 1 / (rows * columns);
  const canvas = $("looks").querySelector("canvas"), full = Math.max(seen.peak, 4 * even);
  canvas.width = columns;
  canvas.height = rows;
  const pixels = new ImageData(columns, rows);
  seen.regions.flat().forEach((share, i) => pixels.data.set([194, 87, 12, 255 * 0.85 * share / full], 4 * i));
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  const said = `${words} most ${where(seen)}: ${percent(seen.peak)} on one of ${rows * columns} regions; even would be ${percent(even)}.`;
  $("looks").querySelector("figcaption").textContent = said;
  $("looks").querySelector(".heat").setAttribute("aria-label", `The picture. ${said}`);
}

// The text as it was written; each word that the model read shows where it looks.
function sayWords(text, attention) {
  const letters = Array.from(text.replace(/\r?\n/g, "\r\n"));  // as the form sent it, by code point
  const most = Math.max(1e-6, ...attention.words.map((word) => 1 - word.entropy));
  const parts = [];
  let at = 0;
  for (const word of attention.words) {
    if (!/[\p{L}\p{N}]/u.test(word.word)) continue;
    parts.push(letters.slice(at, word.start).join(""));
    const button = element("button", word.word);
    button.type = "button";
    button.setAttribute("aria-pressed", "false");
    button.style.setProperty("--sharp", (1 - word.entropy) / most);
    button.addEventListener("click", () => {
      const chosen = button.getAttribute("aria-pressed") === "false";
      for (const other of $("said-words").querySelectorAll("button")) other.setAttribute("aria-pressed", "false");
      button.setAttribute("aria-pressed", String(chosen));
      if (chosen) heat(word, `“${word.word}” looks`);
      else heat(attention, ALL);
    });
    parts.push(button);
    at = word.end;
  }
  $("said-words").replaceChildren(...parts, letters.slice(at).join(""));
}

function part(influence, label, least, span) {
  const row = element("li", undefined, influence.part);
  const value = influence.part === "context" ? influence.value : "";
  const name = element("span", value.startsWith("#") ? value : `${NAMES[influence.name] || words(influence.name)} ${value}`);
  if (influence.label_without !== label) name.append(element("small", `without it: ${place(influence.label_without).toLowerCase()}`));
  const track = element("span", undefined, "track"), bar = element("i"), zero = element("b");
  track.setAttribute("aria-hidden", "true");
  bar.style.left = `${100 * (Math.min(0, influence.change) - least) / span}%`;
  bar.style.width = `${100 * Math.abs(influence.change) / span}%`;
  zero.style.left = `${100 * -least / span}%`;
  track.append(bar, zero);
  const points = (100 * influence.change).toFixed(1).replace("-0.0", "0.0");
  row.append(name, track, element("span", `${influence.change > 0.0005 ? "+" : ""}${points}`, "value"));
  return row;
}

function showWhy(answer, text, photo) {
  const why = answer.explanation, attention = why.attention;
  $("looks").hidden = $("said-words").hidden = !attention;
  if (attention) {
    const picture = $("looks").querySelector("img");
    if (picture.src) URL.revokeObjectURL(picture.src);
    picture.onload = () => { picture.parentElement.style.width = `${SIDE * Math.min(1, picture.naturalWidth / picture.naturalHeight)}px`; };
    picture.src = URL.createObjectURL(photo);
    heat(attention, ALL);
    sayWords(text, attention);
  }
  const shown = why.influences.slice(0, PARTS), label = answer.prediction.label;
  const least = Math.min(0, ...shown.map((one) => one.change));
  const span = Math.max(0.01, ...shown.map((one) => one.change)) - least;
  $("parts-title").textContent = shown.length ? `What hiding each part takes from ${place(label)}, in points` : "";
  $("parts").replaceChildren(...shown.map((one) => part(one, label, least, span)));
  $("near").hidden = !why.label_nodes.length;
  $("near").textContent = `Labelled posts like it say: ${why.label_nodes.map((node) => `by ${BY[node.name]} ${place(node.label).toLowerCase()} (${percent(node.probability)})`).join(", ")}.`;
  $("notes").replaceChildren(...why.notes.map((note) => element("p", note)));
  $("explained").hidden = false;
}

async function why() {
  const mine = ++asking, { text, photo: picture, prediction } = answered;
  const form = new FormData();
  form.append("text", text);
  if (picture) form.append("image", picture, "photo");
  form.append("post_id", prediction.post_id);
  form.append("created_at", prediction.predicted_at);  // the hour is a part of the answer
  $("ask").disabled = true;
  $("ask").textContent = "Hiding parts…";
  $("unexplained").hidden = true;
  let failed = "";
  try {
    const response = await send("explain", form);
    const answer = await response.json();
    if (mine !== asking) return;
    if (response.ok) {
      if (answer.prediction.model_version !== prediction.model_version) show(answer.prediction);
      showWhy(answer, text, picture);
      $("ask").hidden = true;
      $("explained").tabIndex = -1;
      $("explained").focus({ preventScroll: true });  // the button that had it is gone
      return;
    }
    failed = answer.error || `The server answered ${response.status}`;
  } catch {
    failed = "The server did not answer. Is it still running?";
  }
  if (mine !== asking) return;
  $("unexplained").textContent = failed;
  $("unexplained").hidden = false;
  $("ask").disabled = false;
  $("ask").textContent = "Why this place?";
}

$("ask").addEventListener("click", why);
