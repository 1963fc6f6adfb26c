// A formula in the text that is wider than the text gets a line of its own, which scrolls.
function fitFormulas() {
  for (const formula of document.querySelectorAll("p span.math, li span.math, dd span.math")) {
    formula.classList.remove("wide");
    const room = formula.closest("p, li, dd").clientWidth;
    formula.classList.toggle("wide", formula.getBoundingClientRect().width > room);
  }
}
addEventListener("load", () => window.MathJax?.startup.promise.then(fitFormulas));
addEventListener("resize", fitFormulas);
