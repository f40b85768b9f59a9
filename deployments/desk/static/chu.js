// The words that were read of a page: on the review page they fill the field that has the cursor, by click, by drag or
// with the keyboard; the page of the whole text is searched and copied. Everything works without it, too.
"use strict";
const SVG = "http://www.w3.org/2000/svg";
const figures = [...document.querySelectorAll("figure[data-words]")];
const pages = new Map();  // figure → its words: {text, line, rect}
let field = null;  // which had the cursor last

// Letter by letter, so that places in the folded text are places in the text.
function folded(text) {
  return [...text].map((letter) => {
    const plain = letter.normalize("NFD")[0].toLowerCase();
    return plain === "đ" ? "d" : plain.length === letter.length ? plain : letter;
  }).join("");
}

// -- filling --------------------------------------------------------------------------------------------------------
function fillable(element) {
  return element?.matches?.("#quyet-dinh input[data-original], #quyet-dinh textarea") ? element : null;
}

function say(text) {
  let output = document.querySelector(".zoom .filled");
  if (!output) {
    output = document.createElement("output");
    output.className = "filled";
    document.querySelector(".zoom").prepend(output);
  }
  output.textContent = text;
}

// Typed in as if by hand: the browser's own undo takes it back. more: behind what stands there.
function fill(words, more) {
  const text = words.map((word) => word.text).join(" ");
  if (!text) return;
  field.focus();
  if (field.matches("input") && !more) field.select();
  else if (field.matches("input")) field.setSelectionRange(field.value.length, field.value.length);
  const before = field.value.slice(0, field.selectionStart);
  const gap = before && !/\s$/.test(before) && field.selectionStart === field.selectionEnd ? " " : "";
  if (!document.execCommand("insertText", false, gap + text)) {
    field.setRangeText(gap + text, field.selectionStart, field.selectionEnd, "end");
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }
  say(`Đã điền ${words.length} chữ; Ctrl+Z để bỏ.`);
}

// -- the words of a page --------------------------------------------------------------------------------------------
async function loaded(figure, again = true) {
  if (pages.has(figure)) return pages.get(figure);
  const answer = await fetch(figure.dataset.words);
  if (!answer.ok) {
    if (!again) return [];
    await renewWords();
    return loaded(figure, false);
  }
  if (!pages.has(figure)) pages.set(figure, drawn(figure, await answer.json()));
  return pages.get(figure);
}

// Addresses are good for a quarter of an hour, as those of the images.
async function renewWords() {
  const answer = await fetch(location.pathname.replace(/\/(quyet-dinh|du-thao)$/, ""));
  const anew = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const figure of figures) figure.dataset.words = anew.getElementById(figure.id)?.dataset.words ?? figure.dataset.words;
}

function drawn(figure, found) {
  const svg = figure.querySelector("svg g");
  return found.map((word, index) => {
    const rect = document.createElementNS(SVG, "rect");
    for (const side of ["x", "y", "width", "height"]) rect.setAttribute(side, word[side]);
    rect.classList.add("word");
    rect.dataset.word = index;
    svg.append(rect);
    return { ...word, rect };
  });
}

function choose(words, from, to) {
  const [first, last] = [Math.min(from, to), Math.max(from, to)];
  words.forEach((word, index) => word.rect.classList.toggle("chosen", index >= first && index <= last));
  return words.slice(first, last + 1);
}

function unchoose(words) {
  for (const word of words) word.rect.classList.remove("chosen");
}

// -- with the mouse -------------------------------------------------------------------------------------------------
function wordAt(event, figure) {
  const hit = document.elementsFromPoint(event.clientX, event.clientY).find((item) => item.classList.contains("word"));
  return hit && figure.contains(hit) ? Number(hit.dataset.word) : null;
}

// Without a cursor in a field, a word in a field's box leads to the field, as the box itself does.
function toField(event) {
  const box = document.elementsFromPoint(event.clientX, event.clientY).find((item) => item.matches("rect[data-field]"));
  if (box) box.dispatchEvent(new MouseEvent("click"));
  else say("Đặt con trỏ vào một trường rồi bấm vào chữ.");
}

function withMouse(figure) {
  const svg = figure.querySelector("svg");
  let start = null, end = null;
  svg.addEventListener("pointerdown", (event) => {
    const words = pages.get(figure), index = words ? wordAt(event, figure) : null;
    if (index === null || event.button) return;
    event.preventDefault();
    [start, end] = [index, index];
    svg.setPointerCapture(event.pointerId);
    choose(words, start, end);
  });
  svg.addEventListener("mousedown", (event) => { if (start !== null) event.preventDefault(); });  // the cursor stays
  svg.addEventListener("pointermove", (event) => {
    if (start === null) return;
    end = wordAt(event, figure) ?? end;
    choose(pages.get(figure), start, end);
  });
  svg.addEventListener("pointerup", (event) => {
    if (start === null) return;
    const words = choose(pages.get(figure), start, end);
    start = null;
    setTimeout(() => unchoose(words), 600);
    if (fillable(document.activeElement)) fill(words, event.ctrlKey || event.shiftKey);
    else toField(event);
  });
  svg.addEventListener("pointercancel", () => { if (start !== null) unchoose(pages.get(figure)); start = null; });
}

// -- with the keyboard ----------------------------------------------------------------------------------------------
// Alt and W: from a field into the words of the page in sight; arrows, with Shift more words; Enter fills the field.
async function pick() {
  const figure = field && figureOf(field);
  if (!figure) return say("Đặt con trỏ vào một trường rồi bấm Alt+W.");
  const words = await loaded(figure);
  if (!words.length) return say("Trang này không đọc được chữ.");
  document.querySelector(".picker")?.remove();
  const list = document.createElement("div");
  list.className = "picker";
  list.tabIndex = 0;
  for (const [name, value] of Object.entries({ role: "listbox", "aria-multiselectable": "true",
    "aria-label": `Chữ trên ${figure.dataset.name}: mũi tên để chọn, Shift mũi tên chọn nhiều chữ, Enter để điền, Esc để thôi` })) {
    list.setAttribute(name, value);
  }
  list.append(...words.map((word, index) => {
    const option = document.createElement("span");
    option.id = `chu-${index}`;
    option.setAttribute("role", "option");
    option.textContent = word.text;
    return option;
  }));
  figure.querySelector(".sheet").before(list);
  const at = { start: beginning(words), end: 0 };
  at.end = at.start;
  const show = () => {
    choose(words, at.start, at.end);
    const [first, last] = [Math.min(at.start, at.end), Math.max(at.start, at.end)];
    [...list.children].forEach((option, index) => option.setAttribute("aria-selected", index >= first && index <= last));
    list.setAttribute("aria-activedescendant", `chu-${at.end}`);
    list.children[at.end].scrollIntoView({ block: "nearest" });
    words[at.end].rect.scrollIntoView({ block: "center", inline: "nearest" });
  };
  list.addEventListener("blur", () => { unchoose(words); list.remove(); });
  const leave = () => field.focus();  // the list goes as soon as it has lost the focus
  list.addEventListener("keydown", (event) => {
    const step = stepOf(event, words, at.end);
    if (event.key === "Enter") {
      const chosen = choose(words, at.start, at.end);
      leave();
      fill(chosen, event.ctrlKey);
    } else if (event.key === "Escape") leave();
    else if (step === null) return;
    else {
      at.end = Math.max(0, Math.min(words.length - 1, step));
      if (!event.shiftKey || event.key.length === 1) at.start = at.end;
      show();
    }
    event.preventDefault();
  });
  list.focus();
  show();
}

// The page on which the field's value was found, or else the one in the middle of what is seen.
function figureOf(input) {
  const named = input.closest(".field")?.dataset.field;
  const box = named && document.querySelector(`rect[data-field="${CSS.escape(named)}"]`);
  const seen = box?.closest("figure") ?? pageInSight();
  return figures.includes(seen) ? seen : figures[0];
}

// The first word in the box of the field, or the first of the page.
function beginning(words) {
  const named = field.closest(".field")?.dataset.field;
  const box = named && words[0].rect.ownerSVGElement.querySelector(`rect[data-field="${CSS.escape(named)}"]`);
  if (!box) return 0;
  const [x, y, width, height] = ["x", "y", "width", "height"].map((side) => Number(box.getAttribute(side)));
  const inside = (word) => word.x + word.width / 2 >= x && word.x + word.width / 2 <= x + width
    && word.y + word.height / 2 >= y && word.y + word.height / 2 <= y + height;
  return Math.max(0, words.findIndex(inside));
}

// Where a key leads: a word, a line, the ends; a letter to the next word that begins with it. null: no such key.
function stepOf(event, words, here) {
  if (event.altKey || (event.ctrlKey && event.key !== "Home" && event.key !== "End")) return null;
  const line = (step) => {
    const at = words.findIndex((word) => word.line === words[here].line + step);
    return at < 0 ? here : at;
  };
  const steps = { ArrowRight: here + 1, ArrowLeft: here - 1, ArrowDown: line(1), ArrowUp: line(-1), Home: 0, End: words.length - 1 };
  if (event.key in steps) return steps[event.key];
  if (event.key.length !== 1 || event.key === " ") return null;
  const order = words.map((_, index) => (here + 1 + index) % words.length);
  return order.find((index) => folded(words[index].text).startsWith(folded(event.key))) ?? here;
}

if (figures.length) {
  document.addEventListener("focusin", (event) => { field = fillable(event.target) ?? field; });
  for (const figure of figures) withMouse(figure);
  const near = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) loaded(entry.target).catch(() => {});
  }, { root: document.querySelector(".pages") });
  for (const figure of figures) near.observe(figure);
  document.querySelector(".pick")?.addEventListener("click", pick);
  document.addEventListener("keydown", (event) => {
    if (!event.altKey || event.ctrlKey || event.code !== "KeyW") return;
    event.preventDefault();
    pick();
  });
}

// -- the whole text -------------------------------------------------------------------------------------------------
const find = document.querySelector(".find");

function marked(element, wanted) {
  const text = element.textContent, plain = folded(text), parts = [];
  let from = 0;
  for (let at; wanted && (at = plain.indexOf(wanted, from)) >= 0; from = at + wanted.length) {
    const mark = document.createElement("mark");
    mark.textContent = text.slice(at, at + wanted.length);
    parts.push(text.slice(from, at), mark);
  }
  element.replaceChildren(...parts, text.slice(from));
}

if (find) {
  const [input, output] = [find.querySelector("input"), find.querySelector("output")];
  const texts = [...document.querySelectorAll("pre.text")];
  let here = -1;
  const next = () => {
    const marks = [...document.querySelectorAll("mark")];
    document.querySelector("mark.here")?.classList.remove("here");
    here = marks.length ? (here + 1) % marks.length : -1;
    marks[here]?.classList.add("here");
    marks[here]?.scrollIntoView({ block: "center" });
    output.textContent = !input.value.trim() ? "" : marks.length ? `Chỗ ${here + 1} trong ${marks.length}` : "Không có";
  };
  const search = () => {
    for (const text of texts) marked(text, folded(input.value.trim().normalize("NFC")));
    here = -1;
    next();
  };
  input.addEventListener("input", search);
  if (input.value) search();  // typed before this script ran
  input.addEventListener("keydown", (event) => { if (event.key === "Enter") next(); });
  find.querySelector("button").addEventListener("click", next);
  for (const button of document.querySelectorAll("button.copy")) {
    button.addEventListener("click", () => {
      const range = document.createRange(), chosen = getSelection();
      range.selectNodeContents(document.getElementById(button.dataset.of));
      chosen.removeAllRanges();
      chosen.addRange(range);
      const done = document.execCommand("copy");
      button.parentElement.querySelector("output").textContent = done ? "Đã chép." : "Đã chọn: bấm Ctrl+C để chép.";
    });
  }
}
