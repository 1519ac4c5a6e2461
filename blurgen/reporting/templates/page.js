"use strict";
(() => {
  const viewer = document.getElementById("viewer");
  const content = document.getElementById("viewer-content");
  const title = document.getElementById("viewer-title");
  const status = document.getElementById("status");
  const tiles = [...document.querySelectorAll(".tile")];
  let open = -1;

  const show = (number) => {
    open = (number + tiles.length) % tiles.length;
    const tile = tiles[open];
    const figures = document.createElement("div");
    figures.className = "figures";
    for (const image of tile.querySelectorAll("img")) {
      const figure = document.createElement("figure");
      const caption = document.createElement("figcaption");
      caption.textContent = image.dataset.label;
      figure.append(image.cloneNode(), caption);
      figures.append(figure);
    }
    const more = tile.nextElementSibling.content.cloneNode(true);
    figures.append(...more.querySelectorAll("figure"));
    content.replaceChildren(figures, ...more.querySelectorAll("dl"));
    content.scrollTop = 0;
    // large images stand pixel for pixel, small ones as large as there is room for
    content.classList.toggle("full", tile.querySelector("img").width > 0 && Number(tile.querySelector("img").getAttribute("width")) > 200);
    title.textContent = "Pair " + tile.querySelector(".name").textContent;
  };

  tiles.forEach((tile, number) => tile.addEventListener("click", () => {
    show(number);
    viewer.showModal();
    document.getElementById("close").focus();
  }));
  document.getElementById("previous").addEventListener("click", () => show(open - 1));
  document.getElementById("next").addEventListener("click", () => show(open + 1));
  document.getElementById("close").addEventListener("click", () => viewer.close());
  viewer.addEventListener("click", (event) => { if (event.target === viewer) viewer.close(); });
  viewer.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") show(open - 1);
    else if (event.key === "ArrowRight") show(open + 1);
    else return;
    event.preventDefault();
  });
  viewer.addEventListener("close", () => { content.replaceChildren(); tiles[open].focus(); });

  // where the clipboard is not to be had, the text is copied as a person would copy it
  const copyByHand = (text) => {
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "unseen";
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    if (!done) throw new Error("refused");
  };
  const copy = async (text) => {
    try { await navigator.clipboard.writeText(text); } catch { copyByHand(text); }
  };
  for (const button of document.querySelectorAll(".copy")) {
    const label = button.innerHTML;
    button.addEventListener("click", async () => {
      let said = "Copied";
      try { await copy(document.getElementById(button.dataset.copy).textContent); } catch { said = "Not copied: select the text"; }
      button.textContent = said;
      status.textContent = said;
      button.focus();
      setTimeout(() => { button.innerHTML = label; status.textContent = ""; }, 2000);
    });
  }
})();
