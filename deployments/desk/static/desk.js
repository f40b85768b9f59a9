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
    box.scrollIntoView({ block: "center", inline: "nearest" });
  }
}

for (const field of fields) {
  field.addEventListener("focusin", () => show(field));
  const input = field.querySelector("input[data-original]");
  if (!input) continue;
  const changed = () => field.classList.toggle("changed", input.value.trim() !== input.dataset.original);
  input.addEventListener("input", changed);
  changed();
}

for (const box of document.querySelectorAll("rect[data-field]")) {
  box.addEventListener("click", () => {
    const field = fields.find((item) => item.dataset.field === box.dataset.field);
    (field?.querySelector("input") ?? field)?.focus();
  });
}

// Alt+↓, Alt+↑: the next and the previous field that must be looked at. Alt+Enter: to the decision.
document.addEventListener("keydown", (event) => {
  if (!event.altKey || !["ArrowDown", "ArrowUp", "Enter"].includes(event.key)) return;
  event.preventDefault();
  if (event.key === "Enter") {
    document.querySelector(".decide .buttons button")?.focus();
    return;
  }
  const inputs = [...document.querySelectorAll(".field.pressing input[data-original]")];
  const here = inputs.indexOf(document.activeElement);
  const step = event.key === "ArrowDown" ? 1 : -1;
  inputs[(here + step + inputs.length) % inputs.length]?.focus();
});

// A second click sends nothing: the buttons go off after the first, once the browser has read which one it was.
for (const form of document.querySelectorAll("form[method=post]")) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "1";
    setTimeout(() => { for (const button of form.querySelectorAll("button")) button.disabled = true; }, 0);
  });
}
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) {
    delete form.dataset.sent;
    for (const button of form.querySelectorAll("button")) button.disabled = false;
  }
});
