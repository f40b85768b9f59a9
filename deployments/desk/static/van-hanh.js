// Asks again by itself until told not to: a reader may need longer (WCAG 2.2.1).
"use strict";
const again = document.querySelector("#again");
setInterval(() => { if (again.checked) location.reload(); }, again.dataset.seconds * 1000);
