// Makes the review page quicker; everything works without it.
"use strict";
document.documentElement.classList.add("js");
const fields = [...document.querySelectorAll(".field[data-field]")];

function boxesOf(name) {
  return document.querySelectorAll(`rect[data-field="${CSS.escape(name)}"]`);
}

function show(field) {
  for (const old of document.querySelectorAll("rect.here")) old.classList.remove("here");
  for (const box of boxesOf(field.dataset.field)) {
    box.classList.add("here");
    box.scrollIntoView({ block: "center", inline: "center" });
  }
}

for (const field of fields) {
  field.addEventListener("focusin", () => show(field));
  const input = field.querySelector("[data-original]");
  if (!input) continue;
  const changed = () => field.classList.toggle("changed", input.value.trim() !== input.dataset.original);
  input.addEventListener("input", changed);
  changed();
}

for (const box of document.querySelectorAll("rect[data-field]")) {
  box.addEventListener("click", () => {
    const field = fields.find((item) => item.dataset.field === box.dataset.field);
    (field?.querySelector("input, select") ?? field)?.focus();
  });
}

// Alt and + or −, or the buttons: bigger pages for small print, what is in the middle stays there. An enlarged page is
// fetched anew in twice the resolution. The size is kept for the pages that this tab opens next.
const ZOOMS = [100, 150, 200, 300];
const sheets = document.querySelector(".pages");
let zoom = 0;

function setZoom(wanted) {
  zoom = Math.max(0, Math.min(ZOOMS.length - 1, wanted));
  const x = (sheets.scrollLeft + sheets.clientWidth / 2) / sheets.scrollWidth;
  const y = (sheets.scrollTop + sheets.clientHeight / 2) / sheets.scrollHeight;
  for (const step of ZOOMS) sheets.classList.toggle(`zoom-${step}`, step === ZOOMS[zoom]);
  if (zoom) for (const image of sheets.querySelectorAll("img")) {
    if (!image.src.endsWith("?lon=1")) image.src += "?lon=1";
  }
  sheets.scrollTo(x * sheets.scrollWidth - sheets.clientWidth / 2, y * sheets.scrollHeight - sheets.clientHeight / 2);
  document.querySelector(".zoom output").textContent = `${ZOOMS[zoom]}%`;
  sessionStorage.setItem("zoom", zoom);
}

// Alt and X, or its button: a page that lies on its side is turned by a quarter, its boxes with it. Only this view is:
// the copy stays as it was scanned, and the next look shows it so.
function turn(figure) {
  const [sheet, image] = [figure.querySelector(".sheet"), figure.querySelector("img")];
  const turned = (Number(sheet.dataset.turned ?? 0) + 90) % 360;
  sheet.dataset.turned = turned;
  const [width, height] = image.naturalWidth ? [image.naturalWidth, image.naturalHeight]
    : [image.getAttribute("width"), image.getAttribute("height")];
  sheet.style.setProperty("--wide", width / height);
  figure.querySelector("output").textContent = turned ? `đã xoay ${turned}°` : "không xoay";
  // Shorter now: it stays in sight.
  if (figure.getBoundingClientRect().bottom < middleOf(sheets)) sheets.scrollTop = figure.offsetTop - sheets.offsetTop;
}

function middleOf(element) {
  const seen = element.getBoundingClientRect();
  return seen.top + seen.height / 2;
}

// The page of the button that has the focus, or else the one in the middle of what is seen.
function pageInSight() {
  const turnable = [...sheets.querySelectorAll("figure")].filter((figure) => figure.querySelector(".sheet"));
  return turnable.find((figure) => figure.contains(document.activeElement))
    ?? turnable.find((figure) => figure.getBoundingClientRect().bottom > middleOf(sheets)) ?? turnable.at(-1);
}

if (sheets) {
  for (const button of document.querySelectorAll(".zoom button")) {
    button.addEventListener("click", () => setZoom(zoom + Number(button.dataset.zoom)));
  }
  for (const button of sheets.querySelectorAll(".turn")) {
    button.addEventListener("click", () => turn(button.closest("figure")));
  }
  document.addEventListener("keydown", (event) => {
    if (event.altKey && !event.ctrlKey && event.code === "KeyX" && pageInSight()) {  // other keyboards: not ≈
      event.preventDefault();
      turn(pageInSight());
      return;
    }
    const step = { "+": 1, "=": 1, "-": -1, "_": -1 }[event.key];
    if (!event.altKey || event.ctrlKey || !step) return;
    event.preventDefault();
    setZoom(zoom + step);
  });
  // Addresses of images are good for a quarter of an hour. Who works longer on a dossier gets new ones as soon as an
  // image doesn't come; what was typed stays.
  let asked = false;
  const renew = async () => {
    if (asked) return;
    asked = true;
    setTimeout(() => { asked = false; }, 60_000);
    const answer = await fetch(location.pathname.replace(/\/(quyet-dinh|du-thao)$/, ""));
    const anew = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const figure of sheets.querySelectorAll("figure")) {
      const other = anew.getElementById(figure.id);
      const [image, link] = [figure.querySelector("img"), figure.querySelector("figcaption a")];
      if (!image || !other?.querySelector("img")) continue;
      link.href = other.querySelector("figcaption a").getAttribute("href");
      if (!image.complete || !image.naturalWidth) image.src = zoom ? link.href : other.querySelector("img").getAttribute("src");
    }
  };
  sheets.addEventListener("error", renew, true);
  const broken = (image) => image.complete && image.getAttribute("src") && !image.naturalWidth;
  if ([...sheets.querySelectorAll("img")].some(broken)) renew();  // failed before this script ran
  if (Number(sessionStorage.getItem("zoom"))) setZoom(Number(sessionStorage.getItem("zoom")));
}

// A doubtful field has the piece of the page where it stands beside its input, cut out of the image that is shown of
// the page: nothing else is fetched. It is drawn when it comes into sight; an image that is still away is asked for then.
const CROP_HEIGHT = 64, CROP_LARGEST = 2.5;  // px that a low piece is enlarged to, and at most how much

function cropped(canvas) {
  const image = document.getElementById(canvas.dataset.figure)?.querySelector("img");
  canvas.classList.toggle("nowhere", !image);
  if (!image) return;
  image.loading = "eager";
  if (!image.complete || !image.naturalWidth) return;  // its arrival comes back here
  const [x0, y0, x1, y1] = canvas.dataset.box.split(" ").map(Number);
  const [width, height] = ["width", "height"].map((side) => Number(image.getAttribute(side)));
  const [aside, above] = [0.5 * Math.min(y1 - y0, x1 - x0) + 8, 0.3 * Math.min(y1 - y0, x1 - x0) + 4];
  const [left, top] = [Math.max(0, x0 - aside), Math.max(0, y0 - above)];
  const [wide, high] = [Math.min(width, x1 + aside) - left, Math.min(height, y1 + above) - top];
  if (!(wide > 0 && high > 0)) return;
  const scale = image.naturalWidth / width;
  const larger = Math.max(1, Math.min(CROP_LARGEST, CROP_HEIGHT / (high * scale)));
  canvas.width = Math.max(1, Math.round(wide * scale * larger));
  canvas.height = Math.max(1, Math.round(high * scale * larger));
  const picture = canvas.getContext("2d");
  picture.imageSmoothingQuality = "high";
  picture.drawImage(image, left * scale, top * scale, wide * scale, high * scale, 0, 0, canvas.width, canvas.height);
  canvas.dataset.drawn = image.naturalWidth;
}

const crops = [...document.querySelectorAll("canvas.crop")];
if (crops.length) {
  const inSight = new Set();
  const seen = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) inSight.delete(target);
      else if (inSight.add(target)) cropped(target);
    }
  }, { rootMargin: "300px" });
  for (const canvas of crops) seen.observe(canvas);
  // It has come, or has come again in twice the resolution.
  sheets?.addEventListener("load", (event) => {
    const figure = event.target.closest("figure");
    for (const canvas of inSight) if (canvas.dataset.figure === figure?.id) cropped(canvas);
  }, true);
}

// Alt+↓, Alt+↑: the next and the previous field that must be looked at. Alt+Enter: to the decision.
document.addEventListener("keydown", (event) => {
  if (!event.altKey || !["ArrowDown", "ArrowUp", "Enter"].includes(event.key)) return;
  event.preventDefault();
  if (event.key === "Enter") {
    document.querySelector(".decide .buttons button")?.focus();
    return;
  }
  const inputs = [...document.querySelectorAll(".field.pressing [data-original]")];
  const here = inputs.indexOf(document.activeElement);
  const step = event.key === "ArrowDown" ? 1 : -1;
  inputs[(here + step + inputs.length) % inputs.length]?.focus();
});

// A form with files asks first whether it would be taken: a page that came instead would cost the chosen files. Who has
// signed in anew in another tab sends it with the new session's token, if it is the same person: whoever hands in is
// named as the one who captured.
const notSent = document.querySelector("[data-not-sent]");

function filesOf(form) {
  return [...form.querySelectorAll("input[type=file]")].flatMap((input) => [...input.files]);
}

async function whyNot(form) {
  if (filesOf(form).reduce((bytes, file) => bytes + file.size, 0) > Number(notSent.dataset.limit)) return "large";
  try {
    const answer = await fetch("/phien", { signal: AbortSignal.timeout(30_000) });
    if (!answer.ok) return answer.status === 401 ? "ended" : "silent";
    const session = await answer.json();
    if (session.officer !== notSent.dataset.officer) return "other";
    form.elements.csrf.value = session.csrf;
    return "";
  } catch {
    return "silent";
  }
}

async function sendIfTaken(form, button) {
  const why = await whyNot(form);
  notSent.hidden = !why;
  for (const reason of notSent.querySelectorAll("[data-why]")) reason.hidden = reason.dataset.why !== why;
  delete form.dataset.sent;
  if (why) {
    notSent.scrollIntoView({ block: "nearest" });
    return;
  }
  form.dataset.taken = "1";
  form.requestSubmit(button);
  delete form.dataset.taken;
}

// A second click sends nothing: the buttons go off after the first, once the browser has read which one it was.
for (const form of document.querySelectorAll("form[method=post]")) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "1";
    if (notSent && !form.dataset.taken && filesOf(form).length) {
      event.preventDefault();
      sendIfTaken(form, event.submitter);
      return;
    }
    setTimeout(() => { for (const button of form.querySelectorAll("button")) button.disabled = true; }, 0);
  });
}
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) {
    delete form.dataset.sent;
    for (const button of form.querySelectorAll("button")) button.disabled = false;
  }
});
