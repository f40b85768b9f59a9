// Parting a scan by drag or keys; the form says everything, and works without this.
"use strict";
const list = document.querySelector(".scan-pages");
const cards = () => [...list.querySelectorAll(".scan-page")];
const field = (card, name) => card.querySelector(`[name="${name}.${card.dataset.number}"]`);

// Headings, places and counts as the server would write them after "Cập nhật".
function refresh() {
  let [papers, out, start] = [0, 0, null];
  for (const [place, card] of cards().entries()) {
    field(card, "at").value = place + 1;
    card.dataset.turn = field(card, "turn").value;
    const [heading, begins] = [card.querySelector(".begins"), field(card, "start")];
    if (begins.value) start = begins.selectedOptions[0].textContent;
    const gone = Boolean(field(card, "out").value);
    card.classList.toggle("out", gone);
    out += gone;
    heading.hidden = gone || (start === null && papers > 0);
    if (!heading.hidden) {
      papers += 1;
      heading.textContent = `Giấy tờ ${papers}: ${start ?? "chưa chọn loại"}`;
    }
    if (!gone) start = null;
  }
  const blanks = document.querySelector('button[value="blanks"]');
  const left = cards().filter((card) => card.dataset.blank && !field(card, "out").value).length;
  if (blanks) {
    blanks.hidden = !left;
    blanks.textContent = `Bỏ ra ${left} ảnh được đề xuất là trang trắng`;
  }
  document.getElementById("tom-tat").textContent = `${papers} giấy tờ · ${cards().length} ảnh · bỏ ra ${out}`;
}

function move(card, before) {
  const held = card.contains(document.activeElement) ? document.activeElement : null;
  list.insertBefore(card, before);
  refresh();
  held?.focus();
  card.scrollIntoView({ block: "nearest" });
}

const beginsPaper = (card) => !card.querySelector(".begins").hidden;

// Into the paper before or behind: at its end.
function movePaper(card, step) {
  const all = cards();
  const at = all.indexOf(card);
  const heads = all.filter(beginsPaper);
  const own = heads.findLast((head) => all.indexOf(head) <= at);
  const wanted = heads[heads.indexOf(own) + step];
  if (!wanted) return;
  const next = heads[heads.indexOf(wanted) + 1] ?? null;
  move(card, next === card ? card.nextElementSibling : next);
}

const acts = {
  before: (card) => { if (card.previousElementSibling) move(card, card.previousElementSibling); },
  after: (card) => { if (card.nextElementSibling) move(card, card.nextElementSibling.nextElementSibling); },
  turn: (card) => {
    const turn = field(card, "turn");
    turn.value = (Number(turn.value) + 90) % 360;
    refresh();
  },
  out: (card) => {
    const out = field(card, "out");
    out.value = out.value ? "" : "BLANK";
    refresh();
  },
};

list.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-do]");
  if (button) acts[button.dataset.do](button.closest(".scan-page"));
});
list.addEventListener("change", (event) => {
  const card = event.target.closest(".scan-page");
  if (!event.target.name.startsWith("at.")) return refresh();
  const wanted = Number(event.target.value);
  const others = cards().filter((other) => other !== card);
  if (Number.isInteger(wanted) && wanted > 0) move(card, others[wanted - 1] ?? null);
  else refresh();
});

list.addEventListener("keydown", (event) => {
  const card = event.target.closest(".scan-page");
  if (!card || event.ctrlKey) return;
  if (event.key === "Enter" && event.target.name?.startsWith("at.")) {  // the place counts, nothing is sent
    event.preventDefault();
    event.target.dispatchEvent(new Event("change", { bubbles: true }));
  }
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!event.altKey && step && event.target.classList.contains("grab")) {
    event.preventDefault();
    const all = cards();
    all[all.indexOf(card) + step]?.querySelector(".grab").focus();
  }
  if (!event.altKey) return;
  const up = event.key === "ArrowUp";
  const act = up || event.key === "ArrowDown"
    ? () => (event.shiftKey ? movePaper(card, up ? -1 : 1) : acts[up ? "before" : "after"](card))
    : { KeyX: () => acts.turn(card), KeyB: () => acts.out(card), KeyN: () => field(card, "start").focus() }[event.code];
  if (!act) return;
  event.preventDefault();
  event.stopPropagation();
  act();
});

let dragged = null;
for (const card of cards()) card.draggable = true;
list.addEventListener("dragstart", (event) => {
  dragged = event.target.closest?.(".scan-page");
  event.dataTransfer.effectAllowed = "move";
  event.dataTransfer.setData("text/plain", dragged.dataset.number);
});
function place(event) {
  const over = event.target.closest?.(".scan-page");
  if (!dragged || !over || over === dragged) return null;
  const box = over.getBoundingClientRect();
  return event.clientX < box.left + box.width / 2 ? over : over.nextElementSibling;
}
list.addEventListener("dragover", (event) => {
  event.preventDefault();
  const before = place(event);
  for (const card of cards()) card.classList.toggle("here", card === before);
});
list.addEventListener("drop", (event) => {
  event.preventDefault();
  const before = place(event);
  if (dragged && event.target.closest(".scan-page") !== dragged && before !== dragged) move(dragged, before);
});
list.addEventListener("dragend", () => {
  dragged = null;
  for (const card of cards()) card.classList.remove("here");
});
refresh();
