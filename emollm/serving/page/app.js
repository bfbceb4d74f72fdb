// Links the player with everything that carries data-seek, and moves the timeline's playhead. Talks to nobody.
() => {
  const player = () => document.querySelector("video.em-player, audio.em-player");
  document.addEventListener("click", (event) => {
    const target = event.target.closest("[data-seek]");
    if (!target || !player()) return;
    player().currentTime = Number(target.dataset.seek) + 0.01;
    player().play().catch(() => {});
  });
  const showTime = (event) => {
    if (!event.target.matches?.(".em-player")) return;
    const line = document.querySelector(".em-timeline");
    if (!line) return;
    const share = Math.min(1, event.target.currentTime / Number(line.dataset.duration));
    line.style.setProperty("--at", share);
    line.classList.add("em-playing");
  };
  // media events do not bubble, but they can be caught on the way down
  for (const name of ["timeupdate", "seeking"]) document.addEventListener(name, showTime, true);
  document.addEventListener("error", (event) => {
    if (event.target.matches?.("video.em-player, audio.em-player")) event.target.parentElement.querySelector(".em-unplayable").hidden = false;
  }, true);
}
